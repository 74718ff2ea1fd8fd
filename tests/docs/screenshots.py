"""`make screenshots`: the pictures of the admin UI in docs/images, of a made-up installation."""

import shutil
import sys
import tempfile
from datetime import datetime, timedelta
from math import pi, sin
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.progress import track
from sqlalchemy import insert, update

from hourpass.demo import run as demo
from hourpass.server.audit.events import Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.db.schema import client, usage
from hourpass.server.operators.model import Operator, Role
from hourpass.server.organizations import operations
from hourpass.server.rights import FULL
from support.browser import QUIET, chromium
from support.desk import Desk, hire, session_of
from support.installation import Installation, Server

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CATALOGUE = Path(demo.__file__).with_name("hourpass.toml").read_text("utf-8")
_PEOPLE = {"owner@studio-north.example": Role.OWNER, "mia@studio-north.example": Role.AUDITOR}
_CLIENTS = (
    ("Warehouse export", ("bookings:read",), 89, None),
    ("Summer kiosk", ("events:read",), 1, None),
    ("Acme CRM integration", ("customers:read", "profile:read", "profile:write"), None, 70),
    ("Attendance display, front desk", ("events:read", "events-register:read"), 340, 0),
    ("CRM sync", ("customers:read", "profile:read", "profile:write"), 12, 1),
    ("Reporting dashboard", ("customers:read", "bookings:read"), None, 0),
)


def main() -> int:
    """Make the installation, sign in, take the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="hourpass-screenshots-"))
    installation = Installation(folder / "home", f"sqlite:///{folder}/hourpass.db")
    installation.catalogue.write_text(CATALOGUE, "utf-8")
    installation.apply_catalogue(CATALOGUE)
    owner = _people(installation)
    shown = _fill(installation, Origin(actor=owner.actor, rights=FULL, ip="192.0.2.7"))
    server = Server(installation)
    session = session_of(server, owner)
    IMAGES.mkdir(exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
            pages = _pages(shown)
            for name, (path, context) in track(pages.items(), description="pictures"):
                desk = Desk(browser, server, device_scale_factor=1, **context)
                desk.take(session)
                page = desk.open(path)
                if name.startswith("rotate"):
                    page.get_by_role("button", name="Actions").click()
                    page.get_by_role("link", name="Rotate Secret").click()
                    page.get_by_role("dialog").wait_for()
                page.screenshot(path=IMAGES / f"{name}.png")
                desk.close()
            browser.close()
    finally:
        server.stop()
        installation.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _pages(shown: str) -> dict[str, tuple[str, dict[str, Any]]]:
    wide: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
    dark = {**wide, "color_scheme": "dark"}
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}
    one = f"/admin/clients/{shown}"
    return {
        "overview": ("/admin/", wide),
        "clients": ("/admin/clients", wide),
        "clients-dark": ("/admin/clients", dark),
        "clients-phone": ("/admin/clients", phone),
        "client": (one, wide),
        "client-dark": (one, dark),
        "client-phone": (one, phone),
        "rotate": (one, wide),
        "add-client": ("/admin/clients/new", wide),
        "audit": ("/admin/audit", wide),
        "scopes": ("/admin/scopes", wide),
        "keys": ("/admin/keys", wide),
        "operators": ("/admin/operators", wide),
        "account": ("/admin/account", wide),
    }


def _people(installation: Installation) -> Operator:
    """The people; the owner of the installation."""
    made = {email: hire(installation, role, email=email) for email, role in _PEOPLE.items()}
    return made["owner@studio-north.example"]


def _fill(installation: Installation, by: Origin) -> str:
    """Clients of every status, and a day of tokens; the client to show."""
    context = installation.context
    operations.update(context.database, "default", by, name="Studio North")
    for name, scopes, days, last_hours in _CLIENTS:
        new = NewClient(
            name=name,
            scopes=frozenset(scopes),
            expires_in_days=days,
            description="Nightly figures for the finance team." if "Reporting" in name else "",
        )
        made = lifecycle.create(context.database, context.keyring(), new, by).client
        with context.database.write() as connection:
            now = context.database.now(connection)
            if name == "Summer kiosk":
                long_ago = now - timedelta(days=76)
                connection.execute(
                    update(client)
                    .where(client.c.client_id == made.client_id)
                    .values(created_at=long_ago - timedelta(days=90), expires_at=long_ago)
                )
            if last_hours is not None:
                connection.execute(insert(usage), _day(made.client_id, now, last_hours))
        if name.startswith("Acme"):
            lifecycle.suspend(context.database, made.client_id, by)
    lifecycle.rotate_secret(context.database, context.keyring(), made.client_id, by)
    return made.client_id


def _day(client_id: str, now: datetime, last_hours: int) -> list[dict[str, object]]:
    """Tokens as an integration asks for them: fewer at night, now and then one refused."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [
        {
            "client_id": client_id,
            "hour": hour - timedelta(hours=ago),
            "issued": round(34 + 26 * sin(2 * pi * ((hour.hour - ago) % 24 - 8) / 24)),
            "refused": 2 if ago % 9 == 4 else 0,
            "last_issued_at": max(
                hour - timedelta(hours=ago), now - timedelta(hours=last_hours, minutes=4)
            ),
        }
        for ago in range(last_hours, last_hours + 24)
    ]


if __name__ == "__main__":
    sys.exit(main())
