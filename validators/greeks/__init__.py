"""The exchange's Greeks against others of the same quotes: which rows count, and how near they are.

Nothing is computed here: rows come with both sides and a tolerance.
"""
