"""Pages of what is held: one of the whole lake, and one of a dataset's candles."""
