"""What answers prove of the rows that are owed."""
