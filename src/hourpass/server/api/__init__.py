"""The management API, `/api/v1`: the deeds of this server over HTTP, for programs."""
