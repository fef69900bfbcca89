"""What an instrument is: the grammar of names, its record, the lists and their history."""
