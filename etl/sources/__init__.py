"""One file a fetched dataset: what to ask, how a page reads, how it is proved."""
