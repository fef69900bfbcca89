"""The commands of `deribit-lake`: parse, call one function, print, choose the exit code."""
