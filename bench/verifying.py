"""The offline check beside other people's verifiers doing the same checks, in one process.

`python -m bench.verifying memory 1000000` is run as a process of its own: resident memory after so
many distinct tokens.
"""

import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import jwt
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jws
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import Verifier

AUDIENCE = "https://api.example.com"
NEW = 100  # a turn: short ones, so that whatever else the machine does meets all alike
TURNS = 12
AGAIN = 10_000
SEEN = "Hourpass, a token seen before"
HOURPASS = "Hourpass, a new token"
SIGNATURE = "joserfc `jws.deserialize_compact` (signature only)"


@dataclass(frozen=True, slots=True)
class Took:
    """Microseconds a token."""

    name: str
    us: float


class Issuer:
    """A key, and a server that shows it."""

    def __init__(self) -> None:
        key = PrivateKey.generate(Algorithm.ES256)
        issuer = self
        self.key = key
        self.jwks = {"keys": [dict(key.public_jwk)]}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                members: dict[str, Any] = issuer.jwks
                if "oauth" in self.path:
                    members = {"issuer": issuer.url, "jwks_uri": issuer.jwks_uri}
                body = json.dumps(members).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.jwks_uri = f"{self.url}/.well-known/jwks.json"

    def token(self) -> str:
        """A token as Hourpass writes it."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "m2m_0123456789abcdefghjk",
            "client_id": "m2m_0123456789abcdefghjk",
            "aud": AUDIENCE,
            "scope": "bookings:read customers:read",
            "iat": now,
            "exp": now + 3600,
            "jti": secrets.token_urlsafe(16),
            "org_id": "default",
            "gen": 1,
        }
        return self.key.sign(json.dumps(claims).encode())


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Serves its keys until the block ends."""
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def measure(*, rounds: int) -> list[Took]:
    """Everybody in turn, again and again; medians."""
    with issuer() as made:
        contestants = _contestants(made)
        taken: dict[str, list[float]] = {name: [] for name in (*contestants, SEEN)}
        warm = made.token()
        for check in contestants.values():
            check(warm)
        for _ in range(rounds * TURNS):
            tokens = [made.token() for _ in range(NEW)]
            for name, check in contestants.items():
                taken[name].append(_each(check, tokens))
            taken[SEEN].append(_each(contestants[HOURPASS], [tokens[-1]] * AGAIN))
        return [Took(name, median(each)) for name, each in taken.items()]


def _each(check: Callable[[str], object], tokens: list[str]) -> float:
    begun = time.perf_counter()
    for token in tokens:
        check(token)
    return (time.perf_counter() - begun) / len(tokens) * 1e6


def _contestants(made: Issuer) -> dict[str, Callable[[str], object]]:
    """Signature, issuer, audience, times and type; the keys are fetched before."""
    keys = KeySet.import_key_set(made.jwks)  # type: ignore[arg-type]  # a dict of texts it is
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": made.url},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )
    client = jwt.PyJWKClient(made.jwks_uri)

    def with_joserfc(token: str) -> None:
        decoded = joserfc_jwt.decode(token, keys, algorithms=["ES256"])
        if decoded.header["typ"] != "at+jwt":
            raise ValueError("typ")
        registry.validate(decoded.claims)

    def with_pyjwt(token: str) -> None:
        key = client.get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=made.url)

    class Validator(JWTBearerTokenValidator):  # type: ignore[misc]  # Authlib has no types
        def get_jwks(self) -> Any:
            return keys

    validator = Validator(issuer=made.url, resource_server=AUDIENCE)

    def with_authlib(token: str) -> None:
        validator.validate_token(validator.authenticate_token(token), ["customers:read"], None)

    return {
        SIGNATURE: lambda token: jws.deserialize_compact(token, keys, algorithms=["ES256"]),
        HOURPASS: Verifier(made.url, AUDIENCE).verify,
        "joserfc `jwt.decode` and claims": with_joserfc,
        "PyJWT": with_pyjwt,
        "Authlib, RFC 9068 validator": with_authlib,
    }


def memory(count: int) -> tuple[float, float]:
    """Resident MB of a verifier's process at the start, and after `count` distinct tokens."""
    command = [sys.executable, "-m", "bench.verifying", "memory", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    return float(before), float(after)


def _memory(count: int) -> None:
    with issuer() as made:
        verifier = Verifier(made.url, AUDIENCE)
        verifier.verify(made.token())
        before = _resident_mb()
        for _ in range(count):
            verifier.verify(made.token())
        sys.stdout.write(f"{before:.1f} {_resident_mb():.1f}\n")


def _resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        _memory(int(sys.argv[2]))
    else:
        for each in measure(rounds=3):
            sys.stdout.write(f"{each.us:8.1f} µs  {each.name}\n")
