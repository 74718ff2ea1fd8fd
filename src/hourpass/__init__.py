"""Hourpass: API clients and one-hour access tokens, so that an API can be opened to machines.

The rooms, by role on the wire: `oauth` (words of the standards), `client` (asks for tokens),
`resource_server` (checks them), `server` (issues and manages them), `cli` and `demo` above all.
"""

__version__ = "0.1.0"
