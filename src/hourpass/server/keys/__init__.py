"""Keys: the master key that seals the others, the pepper, and the signing keys."""
