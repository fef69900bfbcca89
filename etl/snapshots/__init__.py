"""Chains of options at an instant: asked for, staged as they came, folded."""
