"""A PostgreSQL that is there and says nothing: `kill -STOP`. Nobody waits, nothing piles up."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from hourpass.oauth import secret_format
from support.installation import Credentials, Installation, Server
from support.postgres import Cluster

AT_ONCE = 60
FORM = {"grant_type": "client_credentials"}


class Way:
    """A way to ask a route, and what it answers while all is well."""

    def __init__(
        self,
        method: str,
        path: str,
        status: int,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> None:
        self.status = status
        self._request = {"method": method, "url": path, "headers": headers, **body}

    def ask(self, http: httpx.Client) -> httpx.Response:
        """Once."""
        return http.request(**self._request)


def routes(server: Server) -> dict[str, Way]:
    """Every route that needs the database."""
    installation = server.installation
    client = installation.create_client("customers:read", "hourpass.introspect:bookings")
    caller = installation.create_client("hourpass.clients:read", "hourpass.clients:write")
    token = server.token(client).json()["access_token"]
    management = server.token(caller, resource=f"{server.url}/api/v1").json()["access_token"]
    wrong = Credentials(client.client_id, secret_format.generate())
    bearer = {"Authorization": f"Bearer {management}"}
    forwarded = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customers",
    }
    new = {"name": "New", "scopes": ["customers:read"]}
    about = {"token": token}
    return {
        "token": Way("POST", "/token", 200, client.basic, data=FORM),
        "refusal": Way("POST", "/token", 401, wrong.basic, data=FORM),
        "introspect": Way("POST", "/introspect", 200, client.basic, data=about),
        "verify": Way("GET", "/verify?api=bookings", 200, forwarded),
        "list": Way("GET", "/api/v1/clients", 200, bearer),
        "create": Way("POST", "/api/v1/clients", 201, bearer, json=new),
        "page": Way("GET", "/admin/sign-in", 200),
        "ready": Way("GET", "/readyz", 200),
        "leaks": Way("POST", "/leaks", 202, json={"secret": secret_format.generate()}),
    }


def threads(server: Server) -> int:
    """How many the serving process has."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("Threads:")[1].split()[0])


@pytest.mark.spec("threats", "21", "PostgreSQL killed, hung or cut off")
@pytest.mark.spec("threats", "13", "fail closed: database down is 503, never 2xx")
def test_every_route_says_503_and_recovers_by_itself(
    postgres_installation: Installation, cluster: Cluster
) -> None:
    """Many callers at each, for some seconds; afterwards the same process serves as before."""
    server = Server(postgres_installation)
    try:
        ways = routes(server)
        for name, way in ways.items():
            answer = way.ask(server.http)
            assert answer.status_code == way.status, (name, answer.text)
        known_keys = server.http.get("/.well-known/jwks.json")

        with ThreadPoolExecutor(AT_ONCE) as callers, cluster.hung():

            def call(name: str) -> tuple[str, int, str | None, float]:
                with httpx.Client(
                    base_url=server.url, timeout=20, verify=False, trust_env=False
                ) as http:
                    began = time.monotonic()
                    answer = ways[name].ask(http)
                    took = time.monotonic() - began
                    return name, answer.status_code, answer.headers.get("retry-after"), took

            asked = [name for name in ways if name != "leaks"] * 20 + ["leaks"] * 5
            answers = list(callers.map(call, asked))
            assert server.http.get("/healthz").status_code == 200
            keys = server.http.get("/.well-known/jwks.json")
            assert (keys.status_code, keys.content) == (200, known_keys.content)
            assert threads(server) < 40

        assert {status for _, status, _, _ in answers} == {503}
        assert {name for name, _, wait, _ in answers if wait is None} == {"ready"}
        slowest = max(answers, key=lambda answer: answer[3])
        assert slowest[3] < 4, slowest

        deadline = time.monotonic() + 15
        for name, way in ways.items():
            while (answer := way.ask(server.http)).status_code != way.status:
                assert answer.status_code == 503, (name, answer.text)
                assert time.monotonic() < deadline, (name, answer.text)
                time.sleep(0.05)
        assert server.process is not None
        assert server.process.poll() is None
        assert "Traceback" not in server.log.read_text()
    finally:
        assert server.stop() == 0
