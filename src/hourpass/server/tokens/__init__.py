"""Tokens: who asks (authenticate), whether they get one (exchange), that it is on record before
they do (commit), and what it says (issue)."""
