"""Coverage-guided fuzzing of everything that reads octets from strangers. See `fuzz/run.py`."""
