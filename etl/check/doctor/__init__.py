"""What an installation needs, looked at piece by piece: what was seen, and what to do about it."""
