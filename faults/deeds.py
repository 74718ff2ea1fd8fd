"""Deeds without end over the management API, journaled before and after; to be killed.

`python -m faults.deeds JOURNAL URL CALLERS`; of the callers (JSON) it is `deeds`, the ID and secret
of a client that may change clients.

Done is what was answered by 2xx. After no answer, and after 5xx, nobody knows. Each request that
changes something comes from an address of its own in 127.0.0.0/8, which its audit event tells: so
a request that got no answer can be found there, too.
"""

import ipaddress
import json
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from faults.expected import EVENTS
from faults.journal import Journal
from hourpass.client.management.over_http import TIMEOUT_S

_SCOPES = ("customers:read", "bookings:read", "invoices:read")
_FEWEST = 3  # clients to choose from
_PAUSE_S = 0.05  # somebody who tries again does not hammer
# Who has waited for so long was told that the outcome is unknown while it is still being worked
# on: a deed that came right after could be overtaken by it.
_GOES_ON_AFTER_S = 1.5
_IS_OVER_S = 2.0
_LOOPBACK = int(ipaddress.IPv4Address("127.0.0.0"))
_ADDRESSES = 2**24 - 2
_ROUTES = {"suspend": "suspend", "activate": "activate", "revoke_tokens": "revoke-tokens"}


class Unknown(Exception):
    """Nobody knows whether it was done."""

    def __init__(self, status: int) -> None:
        """`status` is that of the answer; 0: there was none."""
        self.status = status
        super().__init__(status)


class NotDone(Unknown):
    """It was refused, or could not even be asked for."""


class Absent(Exception):
    """There is no such client."""


class Caller:
    """A program of somebody who integrates: it has credentials, and gets its token from them."""

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        """`url` is the issuer's."""
        self._url = url
        self._client_id = client_id
        self._secret = secret
        self._token = ""
        self._number = 0
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def new_origin(self) -> tuple[str, str]:
        """The address of the next request, and how its audit event tells whose it is.

        No address is used twice while a load lasts, also by the process that comes after this one.
        """
        self._number = max(self._number + 1, int(time.monotonic() * 1000))
        address = str(ipaddress.IPv4Address(_LOOPBACK + 1 + self._number % _ADDRESSES))
        return address, origin(self._client_id, address)

    def do(self, deed: str, about: dict[str, Any], address: str) -> dict[str, Any]:
        """What the answer says; raises Unknown, NotDone, Absent."""
        client = f"/clients/{about['client_id']}"
        match deed:
            case "create":
                key = about["key"]
                new = {"name": f"Deed {key}", "scopes": about["scopes"]}
                made = self._change(
                    address, "POST", "/clients", json=new, headers={"Idempotency-Key": key}
                ).json()
                # Without a secret: it was made by a request before, whose answer was lost.
                return {"client_id": made["client_id"], "secret": made.get("client_secret", "")}
            case "rotate":
                answer = self._change(address, "POST", f"{client}/rotate-secret")
                return {"secret": answer.json()["client_secret"]}
            case "set_scopes":
                etag = self._read(client).headers["ETag"]
                change = {"scopes": about["scopes"]}
                self._change(address, "PATCH", client, json=change, headers={"If-Match": etag})
            case "delete":
                self._change(address, "DELETE", client)
            case _:
                self._change(address, "POST", f"{client}/{_ROUTES[deed]}")
        return {}

    def _change(self, address: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self._authorization(), **more.pop("headers", {})}
        source = httpx.HTTPTransport(verify=False, local_address=address)
        with httpx.Client(transport=source, timeout=TIMEOUT_S, trust_env=False) as http:
            try:
                url = f"{self._url}/api/v1{path}"
                answer = http.request(method, url, headers=headers, **more)
            except httpx.TransportError:
                raise Unknown(0) from None
        if answer.is_server_error:
            raise Unknown(answer.status_code)
        return self._accepted(answer)

    def _read(self, path: str) -> httpx.Response:
        try:
            answer = self._http.get(f"/api/v1{path}", headers=self._authorization())
        except httpx.TransportError:
            raise NotDone(0) from None
        return self._accepted(answer)

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.status_code == 404:
            raise Absent
        if answer.status_code == 401:
            self._token = ""  # the next request gets another
        raise NotDone(answer.status_code)

    def _authorization(self) -> dict[str, str]:
        """Of the token, which is kept until it is refused."""
        if not self._token:
            form = {"grant_type": "client_credentials", "resource": f"{self._url}/api/v1"}
            try:
                answer = self._http.post("/token", data=form, auth=(self._client_id, self._secret))
            except httpx.TransportError:
                raise NotDone(0) from None
            if answer.status_code != 200:
                raise NotDone(answer.status_code)
            self._token = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}


class Deeds:
    """Every deed on API clients that there is, in any order, one at a time."""

    def __init__(self, journal: Journal, caller: Caller) -> None:
        self._journal = journal
        self._caller = caller
        self._clients: list[str] = []
        self._owed: tuple[str, dict[str, Any]] | None = None

    def step(self) -> bool:
        """One deed; False: it was not acknowledged."""
        deed, about = self._owed or self._any()
        address, name = self._caller.new_origin()
        entry = {**about, "origin": name}
        self._journal.write(begins=deed, **entry)
        try:
            entry |= self._caller.do(deed, about, address)
        except Absent:  # an earlier `delete`, whose end was unknown, was done
            self._journal.write(absent=deed, **entry)
            self._clients.remove(about["client_id"])
            self._owed = None
            return True
        except Unknown as fault:
            how = {"refused" if isinstance(fault, NotDone) else "unknown": deed}
            self._journal.write(**how, status=fault.status, **entry)
            if deed == "create" or self._owed:  # until it is known: the same, with its key
                self._owed = (deed, about)
            return False
        self._journal.write(done=deed, **entry)
        self._owed = None
        if deed == "create":
            self._clients.append(entry["client_id"])
            if not entry["secret"]:  # nobody was shown one, so it takes another
                self._owed = ("rotate", {"client_id": entry["client_id"]})
        elif deed == "delete":
            self._clients.remove(entry["client_id"])
        return True

    def _any(self) -> tuple[str, dict[str, Any]]:
        deed = random.choice(list(EVENTS)) if len(self._clients) >= _FEWEST else "create"
        is_new = deed == "create"
        about: dict[str, Any] = {"client_id": "" if is_new else random.choice(self._clients)}
        if is_new:
            about["key"] = secrets.token_hex(8)
        if deed in ("create", "set_scopes"):
            about["scopes"] = random.sample(_SCOPES, random.randint(1, len(_SCOPES)))
        return deed, about


def origin(actor_id: str, address: str | None) -> str:
    """What an audit event tells of where a request came from."""
    return f"{actor_id} at {address}"


def main(path: Path, url: str, client_id: str, secret: str) -> None:
    """Until killed."""
    deeds = Deeds(Journal(path), Caller(url, client_id, secret))
    while True:
        begun = time.monotonic()
        if not deeds.step():
            took = time.monotonic() - begun
            time.sleep(_PAUSE_S if took < _GOES_ON_AFTER_S else _IS_OVER_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *json.loads(Path(sys.argv[3]).read_text())["deeds"])
