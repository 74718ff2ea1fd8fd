"""Words of the standards: pure functions and values, shared by client, API and server.

No I/O, no clock, no framework; imports nothing else of Hourpass.
"""
