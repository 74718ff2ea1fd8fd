"""A person at a browser: signs in, looks at pages, and everything that goes wrong is remembered."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from hourpass.server.db.operator_schema import operator_session
from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.model import Operator, Role
from hourpass.server.operators.sessions import sign_in
from support.hashing import HASHING
from support.installation import TESTER, Installation, Server

PASSWORD = "seven green lamps at noon"
_WATCH = (
    "document.addEventListener('securitypolicyviolation',"
    "e => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI))"
)
# A browser tells of every answer that is no 2xx or 3xx: tests that ask for one look at it.
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")


class Desk:
    """One browser with its own cookies, on the pages of one server."""

    def __init__(self, browser: Browser, server: Server, **context: Any) -> None:
        """`context` is Playwright's: color_scheme, viewport, java_script_enabled."""
        self.server = server
        self.database = server.installation.context.database
        self.complaints: list[str] = []
        self.context = browser.new_context(base_url=server.url, **context)
        self.context.add_init_script(_WATCH)
        self.page = self.new_page()

    def new_page(self) -> Page:
        """A tab, watched."""
        page = self.context.new_page()
        page.on("console", lambda message: self._complain(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def close(self) -> None:
        """Close the browser; nothing may have been complained about."""
        self.context.close()
        assert self.complaints == [], self.complaints

    def hire(self, role: Role = Role.OWNER, organization: str | None = None) -> Operator:
        """Somebody who has signed up with PASSWORD."""
        return hire(self.server.installation, role, organization)

    def sign_in(self, operator: Operator | None = None) -> Operator:
        """As that person, or as a new owner of the installation; without the pages for it."""
        operator = operator or self.hire()
        self.take(session_of(self.server, operator))
        return operator

    def take(self, session: str) -> None:
        """Be whoever that session is of."""
        self.context.add_cookies(
            [
                {
                    "name": "hourpass",
                    "value": session,
                    "url": self.server.url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )

    def let_sign_in_grow_old(self, operator: Operator) -> None:
        """The person signed in an hour ago, and has been busy since."""
        with self.database.write() as connection:
            long_ago = self.database.now(connection) - timedelta(minutes=16)
            connection.execute(
                update(operator_session)
                .where(operator_session.c.operator_id == operator.operator_id)
                .values(authenticated_at=long_ago)
            )

    def open(self, path: str) -> Page:
        """Look at a page; `path` begins with /admin."""
        self.page.goto(path)
        return self.page

    def axe(self) -> None:
        """Nothing on the page keeps somebody out."""
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()

    def _complain(self, text: str) -> None:
        if not _STATUS.match(text):
            self.complaints.append(text)


def hire(
    installation: Installation,
    role: Role = Role.OWNER,
    organization: str | None = None,
    *,
    email: str | None = None,
) -> Operator:
    """Somebody who has signed up with PASSWORD."""
    database = installation.context.database
    address = email or f"{uuid4().hex[:10]}@example.com"
    made = lifecycle.set_role(database, address, organization, role, TESTER)
    assert made.link is not None
    return lifecycle.use_link(database, HASHING, made.link.token, Password(PASSWORD), TESTER)


def session_of(server: Server, operator: Operator) -> str:
    """The value of the cookie of a new session."""
    context = server.installation.context
    password = Password(PASSWORD)
    by = replace(TESTER, browser="Chrome on Linux")
    return sign_in.sign_in(
        context.database, HASHING, context.policy.master, operator.email, password, by
    ).token.reveal()


def visitor(server: Server, operator: Operator | None = None) -> httpx.Client:
    """A person's session without a browser; redirects are not followed."""
    cookies = {"hourpass": session_of(server, operator or hire(server.installation))}
    return httpx.Client(base_url=server.url, cookies=cookies, timeout=15, trust_env=False)
