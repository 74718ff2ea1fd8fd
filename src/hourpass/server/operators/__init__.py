"""Operators: the people who administer, what each may do, and how they prove who they are."""
