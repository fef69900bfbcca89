"""TimescaleDB: its schema, what is loaded into it, and a server of one's own."""
