"""Backups of the embedded database, and what a restored database needs before it is served."""
