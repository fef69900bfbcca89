"""One command that brings a lake up to what its settings say is kept."""
