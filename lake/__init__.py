"""The Parquet lake: where files lie, how they are written, locked and read."""
