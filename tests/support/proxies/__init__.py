"""Shipped proxy configurations, started for real between a client and an API of the tests."""
