"""The health of a collector: how old its data are, told to people, services and the init system."""
