"""A typed client of the management API, for programs that manage API clients.

    with Management("https://auth.example.com") as hourpass:
        made = hourpass.create_client(name="CRM sync", scopes=["customers:read"])
        for client in hourpass.clients(status="suspended"):
            print(client.name, client.last_token_at)

Needs httpx (`pip install 'hourpass[httpx]'`). `AsyncManagement` is the same for coroutines. The
caller is an API client that holds management scopes; its credentials are found as by TokenSource.

calls.py     what is sent and what comes back; pure     model.py       values and errors
threads.py   Management                                 coroutines.py  AsyncManagement
"""

from hourpass.client.management.calls import KEEP
from hourpass.client.management.coroutines import AsyncManagement
from hourpass.client.management.model import (
    Actor,
    Api,
    ApiError,
    AuditEvent,
    BadInput,
    Changed,
    Client,
    Conflict,
    Created,
    NotAllowed,
    NotFound,
    Scope,
    Unavailable,
    WithSecret,
)
from hourpass.client.management.threads import Management

__all__ = [
    "KEEP",
    "Actor",
    "Api",
    "ApiError",
    "AsyncManagement",
    "AuditEvent",
    "BadInput",
    "Changed",
    "Client",
    "Conflict",
    "Created",
    "Management",
    "NotAllowed",
    "NotFound",
    "Scope",
    "Unavailable",
    "WithSecret",
]
