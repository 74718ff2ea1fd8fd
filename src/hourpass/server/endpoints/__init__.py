"""The public routes, one file each, in plain ASGI: no framework on the hot path."""
