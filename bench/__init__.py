"""Measurements: ratios between contestants in one run on one machine. `make bench` runs them."""
