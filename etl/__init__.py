"""From Deribit to the lake: plan, fetch, stage, transform, publish, and later compute and load."""
