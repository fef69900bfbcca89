"""Datasets computed from others: one file a step, and the runner that knows none of them."""
