"""Token requests without end, each journaled once its answer is here; to be killed.

`python -m faults.tokens JOURNAL URL CREDENTIALS`; credentials are JSON, a list of [ID, secret].
"""

import base64
import json
import sys
import threading
from pathlib import Path

import httpx

from faults.journal import Journal

_THREADS = 8


def main(path: Path, url: str, credentials: list[tuple[str, str]]) -> None:
    """Ask until killed; an answer other than 200 is journaled as its status."""
    journal = Journal(path)
    lock = threading.Lock()

    def ask(turn: int) -> None:
        client = httpx.Client(base_url=url, timeout=5, trust_env=False)
        while True:
            turn += 1
            client_id, secret = credentials[turn % len(credentials)]
            try:
                answer = client.post(
                    "/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
                )
            except httpx.TransportError:
                return
            with lock:
                if answer.status_code == 200:
                    payload = answer.json()["access_token"].split(".")[1]
                    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
                    journal.write(jti=claims["jti"], client_id=claims["client_id"])
                else:
                    journal.write(status=answer.status_code)

    threads = [threading.Thread(target=ask, args=(number * 7,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))
