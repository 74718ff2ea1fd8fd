"""Token requests without end, each journaled once its answer is here; to be killed.

`python -m faults.tokens JOURNAL URL CALLERS THREADS`; of the callers (JSON) it is `tokens`, a list
of [ID, secret].
"""

import base64
import json
import sys
import threading
import time
from pathlib import Path

import httpx

from faults.journal import Journal

_PAUSE_S = 0.05  # after a failure: callers do not hammer


def main(path: Path, url: str, credentials: list[tuple[str, str]], count: int) -> None:
    """Ask until killed; an answer other than 200 is journaled as its status, none as 0."""
    journal = Journal(path)
    lock = threading.Lock()

    def ask(turn: int) -> None:
        client = httpx.Client(base_url=url, timeout=5, trust_env=False)
        while True:
            turn += 1
            client_id, secret = credentials[turn % len(credentials)]
            begun = time.monotonic()
            try:
                answer = client.post(
                    "/token",
                    data={"grant_type": "client_credentials"},
                    auth=(client_id, secret),
                )
                status = answer.status_code
            except httpx.TransportError:
                status = 0
            took = time.monotonic() - begun
            if status == 200:
                payload = answer.json()["access_token"].split(".")[1]
                claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
                with lock:
                    journal.write(jti=claims["jti"], iat=claims["iat"], took=took)
            else:
                with lock:
                    journal.write(status=status, took=took)
                time.sleep(_PAUSE_S)

    threads = [threading.Thread(target=ask, args=(number * 7,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    known = json.loads(Path(sys.argv[3]).read_text())["tokens"]
    main(Path(sys.argv[1]), sys.argv[2], known, int(sys.argv[4]))
