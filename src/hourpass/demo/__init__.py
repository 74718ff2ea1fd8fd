"""An example: a booking system's API, protected with Hourpass.

`api.py` is the model to copy; `data.py` is what it answers with, `hourpass.toml` its catalogue.
"""
