"""API clients: what one is, its secret, and every deed in its life."""
