"""A trivial ASGI app, alone or behind the middleware: `python -m bench.protected [ISSUER] PORT`."""

import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from bench import load
from bench.contestants import PIN, start_program
from bench.rates import Rates, in_turns
from bench.verifying import AUDIENCE, issuer
from hourpass.resource_server import Verifier
from hourpass.resource_server.asgi import BearerTokens

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"11")]


async def app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """The least that an API does."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b'{"data":[]}'})


def measure(*, rounds: int, seconds: int) -> Rates:
    """The app with and without the middleware, each asked with a token that it has seen."""
    program = [*PIN, sys.executable, "-m", "bench.protected"]
    with issuer() as made, tempfile.TemporaryDirectory() as folder:
        headers = {"Authorization": f"Bearer {made.token()}"}
        requests = load.write(Path(folder) / "app", [load.request("GET", "/", headers)])
        alone = start_program("alone", program, {})
        try:
            behind = start_program("behind", [*program, made.url], {})
            try:
                contestants = {
                    "without": (alone, requests),
                    "behind `BearerTokens`, token seen before": (behind, requests),
                }
                return in_turns(contestants, 32, rounds=rounds, seconds=seconds)
            finally:
                behind.stop()
        finally:
            alone.stop()


def main(arguments: list[str]) -> None:
    """Serve until told to stop."""
    served: Any = app
    if len(arguments) > 1:
        served = BearerTokens(app, Verifier(arguments[0], AUDIENCE))  # type: ignore[arg-type]  # a dict is a scope
    uvicorn.run(
        served,
        port=int(arguments[-1]),
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
