"""Data contracts: what every dataset promises, and how that is checked."""
