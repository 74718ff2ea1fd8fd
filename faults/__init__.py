"""Hard faults, on purpose: what was acknowledged must be there afterwards. `python -m faults`."""
