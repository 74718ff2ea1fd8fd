"""The authorization server: issues, checks and manages client credentials.

docs/layout.md says what each room is for, and which may import which.
"""
