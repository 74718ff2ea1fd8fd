"""The databases: connections, transactions, each one's quirks, and the schema's history."""
