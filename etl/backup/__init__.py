"""Backups of the lake and the database, by restic, and what brings them back."""
