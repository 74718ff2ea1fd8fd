"""TLS in front of the server: by itself, by nginx and by Caddy, with the shipped files."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.certificate import write_certificate
from support.installation import Credentials, Installation, Server
from support.ports import free_port
from support.proxies.process import DEPLOY, ProxyProcess, program, render

ISSUER = "https://localhost"
LETSENCRYPT = "/etc/letsencrypt/live/auth.example.com"
LOOPBACK = "127.0.0.1/32,::1/128"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for this machine, and its key, as files."""

    file: Path
    key: Path

    @property
    def trusted(self) -> ssl.SSLContext:
        """Trusts this one and no other."""
        return ssl.create_default_context(cafile=str(self.file))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Self-signed, good for an hour."""
    return _certificate(tmp_path_factory.mktemp("certificate"))


def _certificate(folder: Path) -> Certificate:
    file = folder / "fullchain.pem"
    return Certificate(file, write_certificate(file))


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that trusts a proxy on this machine; the same whatever the database."""
    folder = tmp_path_factory.mktemp("behind")
    made = Installation(folder, f"sqlite:///{folder}/hourpass.db")
    made.apply_catalogue()
    server = Server(made, HOURPASS_ISSUER=ISSUER, HOURPASS_TRUSTED_PROXIES=LOOPBACK)
    yield server
    server.stop()
    made.close()


def start_nginx(folder: Path, hourpass: int, certificate: Certificate) -> ProxyProcess:
    """The file is a part of nginx.conf; the rest of it keeps what nginx writes in `folder`."""
    nginx, listen = program("nginx"), free_port()
    edits = {
        "127.0.0.1:8080": f"127.0.0.1:{hourpass}",
        "listen 443 ssl": f"listen 127.0.0.1:{listen} ssl",
        "auth.example.com;": "localhost;",
        f"{LETSENCRYPT}/fullchain.pem": str(certificate.file),
        f"{LETSENCRYPT}/privkey.pem": str(certificate.key),
    }
    (folder / "server.conf").write_text(render(DEPLOY / "nginx/server.conf", edits))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    frame = folder / "nginx.conf"
    frame.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}include {folder}/server.conf;\n}}\n"
    )
    command = [nginx, "-p", str(folder), "-e", "stderr", "-c", str(frame)]
    return ProxyProcess(command, listen, folder)


def start_caddy(folder: Path, hourpass: int, certificate: Certificate) -> ProxyProcess:
    """With the test's certificate, since Caddy gets none for such a name."""
    caddy, listen = program("caddy"), free_port()
    edits = {
        "127.0.0.1:8080": f"127.0.0.1:{hourpass}",
        "auth.example.com {": f"https://localhost:{listen} {{\n"
        f"\ttls {certificate.file} {certificate.key}",
    }
    (folder / "shipped").write_text(render(DEPLOY / "caddy/server.Caddyfile", edits))
    frame = folder / "Caddyfile"
    options = ("admin off", "auto_https disable_redirects", "default_bind 127.0.0.1")
    frame.write_text("\n".join(["{", *options, "}", f"import {folder}/shipped", ""]))
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    command = [caddy, "run", "--config", str(frame), "--adapter", "caddyfile"]
    return ProxyProcess(command, listen, folder, homes)


Start = Callable[[Path, int, Certificate], ProxyProcess]


@pytest.mark.parametrize("start", [start_nginx, start_caddy])
def test_a_proxy_in_front_does_tls_and_says_who_calls(
    start: Start, behind: Server, certificate: Certificate, tmp_path: Path
) -> None:
    """The issuer is the public one; an address that the caller makes up counts for nothing."""
    credentials = behind.installation.create_client("customers:read")
    proxy = start(tmp_path, behind.installation.port, certificate)
    try:
        url = f"https://localhost:{proxy.port}"
        with httpx.Client(base_url=url, verify=certificate.trusted, trust_env=False) as caller:
            metadata = caller.get("/.well-known/oauth-authorization-server")
            forged = {"X-Forwarded-For": "203.0.113.7"}
            token = _token(caller, credentials, **forged)
    finally:
        proxy.stop()

    assert metadata.json()["issuer"] == ISSUER
    assert token.status_code == 200, token.text
    (event,) = behind.installation.events(client_id=credentials.client_id, event="token.issued")
    assert event["ip"] == "127.0.0.1"


def _token(caller: httpx.Client, credentials: Credentials, **headers: str) -> httpx.Response:
    form = {"grant_type": "client_credentials"}
    return caller.post("/token", data=form, headers={**credentials.basic, **headers})


def _serving(
    installation: Installation, certificate: Certificate, settings: dict[str, str]
) -> Server:
    """A server that does TLS itself, started once it is reached by its certificate."""

    class TlsServer(Server):
        verify = certificate.trusted
        url = f"https://localhost:{installation.port}"

    return TlsServer(installation, **settings)


def test_the_server_does_tls_itself_and_a_restart_takes_the_new_certificate(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """A file that changed while it runs is for the next start."""
    credentials = sqlite_installation.create_client("customers:read")
    first = _certificate(tmp_path)
    settings = {
        "HOURPASS_TLS_CERT_FILE": str(first.file),
        "HOURPASS_TLS_KEY_FILE": str(first.key),
    }
    url = f"https://localhost:{sqlite_installation.port}"
    before = first.trusted
    server = _serving(sqlite_installation, first, settings)
    try:
        with httpx.Client(base_url=url, verify=before, trust_env=False) as caller:
            token = _token(caller, credentials)
            issuer = caller.get("/.well-known/oauth-authorization-server").json()["issuer"]
        second = _certificate(tmp_path)
        assert httpx.get(f"{url}/healthz", verify=before, trust_env=False).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/healthz", verify=second.trusted, trust_env=False)
    finally:
        assert server.stop() == 0

    server = _serving(sqlite_installation, second, settings)
    assert server.stop() == 0
    assert token.status_code == 200
    assert issuer == url
