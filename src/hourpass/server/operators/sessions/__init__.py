"""Signing in, the sessions that come of it, and how guessing is slowed down."""
