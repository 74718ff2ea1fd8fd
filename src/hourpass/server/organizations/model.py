"""What an organization is."""

from dataclasses import dataclass
from datetime import datetime

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant; its ID is `org_id` in tokens and never changes."""

    id: str
    name: str
    created_at: datetime
    suspended_at: datetime | None = None
