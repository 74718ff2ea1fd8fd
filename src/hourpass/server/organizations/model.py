"""What an organization is, and what each deed makes of it. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from hourpass.server.audit.events import printable
from hourpass.server.refused import BadInput

DEFAULT = "default"
MAX_NAME = 100
ID_FORM = "[a-z0-9-]{1,40}"
_ID = re.compile(ID_FORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant; its ID is `org_id` in tokens and never changes."""

    id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None = None

    @property
    def status(self) -> str:
        """`active` or `suspended`."""
        return "active" if self.suspended_at is None else "suspended"

    def updated(self, *, name: str) -> "Organization":
        """With another name; raises BadInput."""
        return replace(self, name=checked_name(name))

    def suspended(self, now: datetime) -> "Organization":
        """Its clients get no tokens and its tokens fail online checks, until it is activated."""
        return replace(self, suspended_at=self.suspended_at or now)

    def activated(self) -> "Organization":
        """Its clients are again what they are by themselves."""
        return replace(self, suspended_at=None)


def is_organization_id(text: str) -> bool:
    """Whether `text` has the form of an organization's ID."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str) -> str:
    """An ID for a new organization; raises BadInput."""
    if not is_organization_id(text):
        raise BadInput("id", "give 1 to 40 lower-case letters, digits and hyphens")
    return text


def checked_name(text: str) -> str:
    """A name of 1-100 printable characters, without blanks around it; raises BadInput."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise BadInput("name", f"give 1 to {MAX_NAME} characters")
    if printable(name, MAX_NAME) != name:
        raise BadInput("name", "control characters and direction marks are not allowed")
    return name
