"""The gates before the admin pages: the forms that anybody may send have one of their own."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from hourpass.server.admin.application import AdminPages
from hourpass.server.audit.events import Event
from support.installation import Installation


def test_a_flood_of_sign_ins_keeps_nobody_from_the_pages(installation: Installation) -> None:
    """While every slot for sign-ins is taken, a page is there and one more sign-in hears 503."""
    pages = AdminPages(installation.context)
    hashing = pages._site.hashing
    form = b"email=nobody%40example.com&password=wrong&csrf=" + _csrf(pages)

    async def main() -> None:
        with hashing._slot(), hashing._slot():  # passwords are being hashed, for ever
            flood = [
                asyncio.ensure_future(_status(pages, "POST", "/admin/sign-in", form))
                for _ in range(10)
            ]
            await asyncio.sleep(0.1)
            assert await _status(pages, "GET", "/admin/sign-in") == 200
            assert await _status(pages, "POST", "/admin/sign-out", form) != 503
            assert await asyncio.gather(*flood) == [503] * 10

        # Decided again; too many failures when those of the flood, which go on, come before it.
        assert await _status(pages, "POST", "/admin/sign-in", form) in (403, 429)

    asyncio.run(main())

    failed = Event.OPERATOR_SIGN_IN_FAILED.value
    assert installation.events(event=failed)


def _csrf(pages: AdminPages) -> bytes:
    visit = pages._visit(_scope("GET", "/admin/sign-in"), "GET", "/admin/sign-in")
    return visit.csrf.encode()


def _scope(method: str, path: str) -> MutableMapping[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("192.0.2.1", 1),
        "headers": [
            (b"host", b"localhost"),
            (b"sec-fetch-site", b"same-origin"),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ],
    }


async def _status(pages: AdminPages, method: str, path: str, body: bytes = b"") -> int:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await pages(_scope(method, path), receive, send)
    status: int = sent[0]["status"]
    return status
