"""The example API behind each proxy, which asks for a token of its own as well."""

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from support.door_tokens import AUDIENCE
from support.installation import clean_environ
from support.ports import free_port
from support.proxies.doors import Issuer
from support.proxies.shipped import ASKING, OFFLINE


@pytest.fixture(scope="module")
def example_api(issuer: Issuer) -> Iterator[int]:
    """Its port."""
    port = free_port()
    environ = {"HOURPASS_DEMO_ISSUER": issuer.server.url, "HOURPASS_DEMO_AUDIENCE": AUDIENCE}
    served = ["uvicorn", "hourpass.demo.serve:api", "--log-level", "warning", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", *served], env={**clean_environ(), **environ})
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


@pytest.mark.xdist_group("example-api")
@pytest.mark.parametrize("name", [*ASKING, *OFFLINE])
def test_the_example_api_behind_a_proxy(
    name: str, issuer: Issuer, example_api: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What the scopes grant comes back from the API, anything else from the proxy."""
    folder = tmp_path_factory.mktemp(f"example-{name}")
    server = issuer.server
    if name in ASKING:
        proxy = ASKING[name](folder, server.installation.port, example_api)
    else:
        proxy = OFFLINE[name](folder, server.url, example_api)
    try:
        with httpx.Client(base_url=f"http://localhost:{proxy.port}", trust_env=False) as http:

            def status(method: str, path: str, *scopes: str) -> int:
                name, _, value = issuer.bearer(*scopes).partition(": ")
                answer = http.request(method, path, headers={name: value})
                if answer.status_code == 200:
                    assert answer.json()["data"]
                return answer.status_code

            assert http.get("/customers").status_code == 401
            assert status("GET", "/customers", "customers:read") == 200
            assert status("GET", "/customer/1001/bookings", "bookings:read") == 200
            assert status("GET", "/customer/1001/bookings", "customers:read") == 403
            assert status("PUT", "/customer/1001/profile", "customers:read") == 403
            assert status("GET", "/customer/..%2f1001/bookings", "bookings:read") == 403
            assert status("GET", "/nothing", "customers:read") == 403
    finally:
        proxy.stop()
