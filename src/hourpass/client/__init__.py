"""The integrator's side: asks a Hourpass server for tokens."""
