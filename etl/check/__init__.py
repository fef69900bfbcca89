"""What is true of what is held: verdicts, quality, reports."""
