"""Online checks without end, each journaled once its answer is here; to be killed.

`python -m faults.checks JOURNAL URL CALLERS THREADS`; of the callers (JSON) it is `checks`: the
credentials of a client whose token passes at `/verify`, and of the API that introspects it.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from faults.journal import Journal

_PAUSE_S = 0.05
_REQUEST = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/customers"}
KINDS = ("verify", "introspect")


def main(path: Path, url: str, client: tuple[str, str], api: tuple[str, str], count: int) -> None:
    """Ask until killed, each kind in `count` threads; what is no yes is journaled by its status."""
    journal = Journal(path)
    lock = threading.Lock()
    token = _token(url, client)

    def verify(http: httpx.Client) -> tuple[bool, int]:
        headers = {"Authorization": f"Bearer {token}", **_REQUEST}
        answer = http.get("/verify", params={"api": "bookings"}, headers=headers)
        passed = answer.headers.get("X-Hourpass-Client-Id") == client[0]
        return answer.status_code == 200 and passed, answer.status_code

    def introspect(http: httpx.Client) -> tuple[bool, int]:
        answer = http.post("/introspect", data={"token": token}, auth=api)
        return answer.status_code == 200 and answer.json()["active"], answer.status_code

    def ask(kind: str, check: Callable[[httpx.Client], tuple[bool, int]]) -> None:
        http = httpx.Client(base_url=url, timeout=5, trust_env=False)
        while True:
            begun = time.monotonic()
            try:
                is_yes, status = check(http)
            except httpx.TransportError:
                is_yes, status = False, 0
            entry = {"check": kind, "took": time.monotonic() - begun}
            with lock:
                journal.write(**entry if is_yes else {**entry, "status": status})
            if not is_yes:
                time.sleep(_PAUSE_S)

    for kind, check in zip(KINDS, (verify, introspect), strict=True):
        for _ in range(count):
            threading.Thread(target=ask, args=(kind, check)).start()


def _token(url: str, client: tuple[str, str]) -> str:
    """Good for as long as any load lasts; asked for until there is one."""
    while True:
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{url}/token", data=form, auth=client, trust_env=False)
        if answer.status_code == 200:
            token: str = answer.json()["access_token"]
            return token
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    known = json.loads(Path(sys.argv[3]).read_text())["checks"]
    main(Path(sys.argv[1]), sys.argv[2], tuple(known[0]), tuple(known[1]), int(sys.argv[4]))
