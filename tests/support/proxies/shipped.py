"""How each shipped configuration is started: its file rendered, and a frame where it needs one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.ports import free_port
from support.proxies.process import (
    API,
    DEPLOY,
    HOURPASS,
    LISTEN,
    ProxyProcess,
    program,
    render,
)


def _addresses(hourpass: int, api: int, listen: int) -> dict[str, str]:
    pairs = ((HOURPASS, hourpass), (API, api), (LISTEN, listen))
    return {f"127.0.0.1:{written}": f"127.0.0.1:{real}" for written, real in pairs}


def start_nginx(folder: Path, hourpass: int, api: int) -> ProxyProcess:
    """The file is a part of nginx.conf; the rest of it keeps what nginx writes in `folder`."""
    nginx, listen = program("nginx"), free_port()
    shipped = render(DEPLOY / "nginx/hourpass.conf", _addresses(hourpass, api, listen))
    (folder / "hourpass.conf").write_text(shipped)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    frame = folder / "nginx.conf"
    frame.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        "events {}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/hourpass.conf;\n}}\n"
    )
    return ProxyProcess(
        [nginx, "-p", str(folder), "-e", "stderr", "-c", str(frame)], listen, folder
    )


def start_caddy(folder: Path, hourpass: int, api: int) -> ProxyProcess:
    """A frame with global options: no port for administration, no certificates, on loopback."""
    caddy, listen = program("caddy"), free_port()
    edits = {
        "api.example.com": f"http://localhost:{listen}",
        f"127.0.0.1:{HOURPASS}": f"127.0.0.1:{hourpass}",
        f"127.0.0.1:{API}": f"127.0.0.1:{api}",
    }
    (folder / "shipped").write_text(render(DEPLOY / "caddy/Caddyfile", edits))
    frame = folder / "Caddyfile"
    options = ("admin off", "auto_https off", "default_bind 127.0.0.1")
    frame.write_text("\n".join(["{", *options, "}", f"import {folder}/shipped", ""]))
    homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    return ProxyProcess(
        [caddy, "run", "--config", str(frame), "--adapter", "caddyfile"],
        listen,
        folder,
        dict.fromkeys(homes, str(folder)),
    )


def start_envoy(folder: Path, hourpass: int, api: int) -> ProxyProcess:
    """As it is."""
    envoy, listen = program("envoy"), free_port()
    edits = {
        f"port_value: {written}": f"port_value: {real}"
        for written, real in ((HOURPASS, hourpass), (API, api), (LISTEN, listen))
    }
    file = folder / "envoy.yaml"
    file.write_text(render(DEPLOY / "envoy/envoy.yaml", edits))
    flags = ["--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return ProxyProcess([envoy, "-c", str(file), *flags], listen, folder)


def start_haproxy(folder: Path, issuer: str, api: int) -> ProxyProcess:
    """As it is, with the keys where its own script wrote them."""
    haproxy, listen = program("haproxy"), free_port()
    fetched = subprocess.run(
        [sys.executable, str(DEPLOY / "haproxy/fetch_keys.py"), issuer, str(folder)], check=True
    )
    assert fetched.returncode == 0
    edits = {
        "/etc/haproxy/hourpass": str(folder),
        f"http://localhost:{HOURPASS}": issuer,
        f"127.0.0.1:{API}": f"127.0.0.1:{api}",
        f"127.0.0.1:{LISTEN}": f"127.0.0.1:{listen}",
    }
    file = folder / "haproxy.cfg"
    file.write_text(render(DEPLOY / "haproxy/haproxy.cfg", edits))
    return ProxyProcess([haproxy, "-db", "-f", str(file)], listen, folder)


_MODULES = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http")


def start_apache(folder: Path, issuer: str, api: int) -> ProxyProcess:
    """The file is a site; the frame is what Debian's apache2.conf would be around it."""
    apache, listen = program("apache2"), free_port()
    edits = {
        f"http://localhost:{HOURPASS}": issuer,
        f"http://127.0.0.1:{API}": f"http://127.0.0.1:{api}",
        f"127.0.0.1:{LISTEN}": f"127.0.0.1:{listen}",
    }
    site = folder / "hourpass.conf"
    site.write_text(render(DEPLOY / "apache/hourpass.conf", edits))
    modules = [*_MODULES, "env", "headers", "rewrite", "oauth2"]
    frame = folder / "apache2.conf"
    lines = [
        f'ServerRoot "{folder}"',
        "ServerName localhost",
        *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules),
        "User nobody" if os.geteuid() == 0 else "",
        "Group nogroup" if os.geteuid() == 0 else "",
        f"PidFile {folder}/apache.pid",
        f"DefaultRuntimeDir {folder}",
        "ErrorLog /dev/stderr",
        f"Include {site}",
    ]
    frame.write_text("\n".join(lines) + "\n")
    return ProxyProcess([apache, "-f", str(frame), "-DFOREGROUND"], listen, folder)


ASKING: dict[str, Callable[[Path, int, int], ProxyProcess]] = {
    "nginx": start_nginx,
    "caddy": start_caddy,
    "envoy": start_envoy,
}
"""Folder, port of the way to the server, port of the API → the proxy."""
OFFLINE: dict[str, Callable[[Path, str, int], ProxyProcess]] = {
    "haproxy": start_haproxy,
    "apache": start_apache,
}
"""Folder, issuer, port of the API → the proxy."""
