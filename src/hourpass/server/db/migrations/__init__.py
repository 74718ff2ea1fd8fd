"""The history of the schema, oldest first in `versions/`; run by `hourpass.server.db.migrate`."""
