"""US interest rates as the Treasury and FRED publish them: asked for, staged, folded by year."""
