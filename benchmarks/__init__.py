"""Tables of speed and size, each beside a floor or a reference: ``just bench``."""
