"""An installation under test: its settings, its database, and a server on it when asked for."""

import base64
import contextlib
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hourpass.server import config
from hourpass.server.audit.events import Actor, Origin
from hourpass.server.clients import lifecycle, store
from hourpass.server.clients.lifecycle import NewClient, WithSecret
from hourpass.server.clients.model import Client
from hourpass.server.context import Context, open_context
from hourpass.server.rights import FULL
from support import warm_commands
from support.ports import free_port

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
TESTER = Origin(
    actor=Actor("cli", "tester", "Tester"), rights=FULL, request_id="test", ip="192.0.2.1"
)
CATALOGUE = """
[[api]]
key = "bookings"
identifier = "https://api.example.com"
name = "Bookings API"
[[api.scope]]
name = "customers:read"
description = "List customers"
grants = ["GET /customers"]
[[api.scope]]
name = "bookings:read"
description = "Read bookings"
grants = ["GET /customer/{id}/bookings", "GET /customer/{id}/booking/{bookingId}"]
[[api.scope]]
name = "profile:write"
description = "Change a profile"
grants = ["PUT /customer/{id}/profile"]
[[api]]
key = "billing"
identifier = "https://billing.example.com"
name = "Billing API"
[[api.scope]]
name = "invoices:read"
description = "Read invoices"
grants = ["GET /invoices"]
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client's ID and secret, as its integrator holds them."""

    client_id: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> dict[str, str]:
        """As an Authorization header."""
        pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


class Installation:
    """Settings and an open context on them; what tests do through the functions themselves."""

    def __init__(self, folder: Path, database_url: str, extra: Mapping[str, str] = {}) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.catalogue = folder / "hourpass.toml"
        if not self.catalogue.exists():
            self.catalogue.write_text(CATALOGUE)
        self.port = free_port()
        self.environ = {
            "HOURPASS_DATA_DIR": str(folder / "data"),
            "HOURPASS_CONFIG": str(self.catalogue),
            "HOURPASS_DATABASE_URL": database_url,
            "HOURPASS_MASTER_KEY": MASTER_KEY,
            "HOURPASS_PORT": str(self.port),
            **extra,
        }
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The open installation; migrated on first use."""
        if self._context is None:
            settings = config.load(self.environ)
            self._context = open_context(settings, may_migrate=True, busy_timeout_s=30)
        return self._context

    def apply_catalogue(self, text: str = CATALOGUE) -> None:
        """Make the catalogue what `text` says."""
        from hourpass.server.catalogue import apply, file

        apply.apply(
            self.context.database,
            file.parse(text),
            TESTER,
            management_identifier=self.context.management_identifier,
        )

    def create_client(self, *scopes: str, name: str = "Test client", **more: Any) -> Credentials:
        """A client with these scopes."""
        made = self.create(NewClient(name=name, scopes=frozenset(scopes), **more))
        return Credentials(made.client.client_id, made.secret.reveal())

    def create(self, new: NewClient) -> WithSecret:
        """A client, as the lifecycle gives it."""
        context = self.context
        return lifecycle.create(context.database, context.keyring(), new, TESTER)

    def stored(self, client_id: str) -> Client:
        """The client as the database has it; LookupError when it is gone."""
        with self.context.database.read() as connection:
            client = store.get(connection, client_id)
        if client is None:
            raise LookupError(client_id)
        return client

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        """Audit events, oldest first, in the API's shape."""
        from hourpass.server.audit.store import EventFilter
        from support.audit_trail import as_written

        with self.context.database.read() as connection:
            found = as_written(connection, EventFilter(**wanted))
            return [event.as_json() for event in found]

    def command(self, *arguments: str, environ: Mapping[str, str] = {}) -> "Finished":
        """Run `hourpass …` as a process of its own."""
        environ = {**clean_environ(), **self.environ, **environ}
        done = warm_commands.run(arguments, environ, self.folder, timeout_s=60)
        status, stdout, stderr = done
        return Finished(status, stdout.decode(), stderr.decode())

    def close(self) -> None:
        """Give the connections back."""
        if self._context is not None:
            self._context.database.close()
            self._context = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.stdout)


class Server:
    """`hourpass serve` as a process of its own on an installation."""

    verify: ssl.SSLContext | bool = True  # whom its callers trust, when it does TLS itself
    many_addresses = False  # whether its callers seem to be many

    def __init__(
        self,
        installation: Installation,
        *prefix: str,
        program: Sequence[str] = (sys.executable, "-m", "hourpass"),
        **environ: str,
    ) -> None:
        """`prefix` is put before the command (strace, taskset)."""
        self.installation = installation
        self._command = [*prefix, *program, "serve"]
        self._environ = environ
        self.log = installation.folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env={**clean_environ(), **self.installation.environ, **self._environ},
                stdout=log,
                stderr=log,
                cwd=self.installation.folder,
                start_new_session=True,
            )
        self.http = self._client()
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def _client(self) -> httpx.Client:
        transport = _FromManyAddresses() if self.many_addresses else None
        return httpx.Client(
            base_url=self.url,
            timeout=15,
            trust_env=False,
            verify=self.verify,
            transport=transport,
        )

    @property
    def url(self) -> str:
        """Its base URL, which is its issuer as well."""
        return f"http://localhost:{self.installation.port}"

    def token(self, credentials: Credentials, **parameters: str) -> httpx.Response:
        """Ask for a token as most integrations do: a form, with Basic."""
        form = {"grant_type": "client_credentials", **parameters}
        return self.http.post("/token", data=form, headers=credentials.basic)

    def kill(self) -> None:
        """As in a crash: nobody is asked."""
        assert self.process is not None
        self.http.close()
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Orderly; its exit status."""
        assert self.process is not None
        self.http.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)  # which waits for no balancer
        return self.process.wait(20)


class SharedServer(Server):
    """One that many tests share."""

    many_addresses = True


class _FromManyAddresses(httpx.BaseTransport):
    """Each request from another of a hundred addresses, in turn: an address that fails too often
    gets 429, and the failures of all tests that share a server would be one address's."""

    def __init__(self) -> None:
        every = [
            httpx.HTTPTransport(verify=False, local_address=f"127.0.1.{number}")
            for number in range(1, 101)
        ]
        self._every = every
        self._turns = itertools.cycle(every)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return next(self._turns).handle_request(request)

    def close(self) -> None:
        for transport in self._every:
            transport.close()


def clean_environ() -> dict[str, str]:
    """The environment without the settings of whoever runs the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith("HOURPASS_")}
