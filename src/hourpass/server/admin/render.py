"""Templates to HTML: everything is escaped; times and counts are worded in one place."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from hourpass.server import rights
from hourpass.server.admin import assets, chart
from hourpass.server.catalogue.model import INTROSPECT_PREFIX

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Up to what distance each unit is used: 90 days say more than 3 months.
_STEPS = (
    (_MINUTE, "minute", _HOUR),
    (_HOUR, "hour", _DAY),
    (_DAY, "day", 120 * _DAY),
    (30 * _DAY, "month", 330 * _DAY),
)


class Templates:
    """The pages' templates."""

    def __init__(self, root: str) -> None:
        """`root` is the path of the issuer, before /admin."""
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "when": when,
            "exactly": exactly,
            "count": count,
            "base64url": base64url,
        }
        self._environment.tests["introspection"] = is_introspection
        self._environment.globals |= {
            "root": root,
            "rights": rights,
            "chart_of": chart.of,
            "static": lambda name: assets.url(root, name),
        }

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """The page."""
        return self._environment.get_template(name).render(values)

    def response(self, name: str, status: int, **values: object) -> HTMLResponse:
        """A page that needs nothing of a visit."""
        return HTMLResponse(self.render(name, values), status_code=status)


def is_introspection(scope: str) -> bool:
    """Whether its holder may ask about tokens for an API."""
    return scope.startswith(INTROSPECT_PREFIX)


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or how soon, in words: `4 minutes ago`, `in 12 days`, `9 Sep 2026`."""
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < 45:
        return "just now" if seconds >= 0 else "in a moment"
    step = next((step for step in _STEPS if distance < step[2]), None)
    if step is None:
        return day(moment)
    number = max(1, round(distance / step[0]))
    words = count(number, step[1], f"{step[1]}s")
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def day(moment: datetime) -> str:
    """A date for people: `9 Sep 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def when(moment: datetime | None, now: datetime, never: str = "never") -> Markup:
    """How long ago, the exact moment beside it: in the reader's zone where scripts run."""
    if moment is None:
        return Markup("<span>{}</span>").format(never)
    return _time(moment, relative(moment, now), "relative")


def exactly(moment: datetime | None, never: str = "never") -> Markup:
    """The moment itself: in the reader's zone where scripts run, else in UTC."""
    if moment is None:
        return Markup("<span>{}</span>").format(never)
    return _time(moment, f"{day(moment)}, {moment:%H:%M} UTC", "exact")


def count(number: int, one: str, many: str) -> str:
    """`1 client`, `1,204 clients`."""
    return f"{number:,} {one if number == 1 else many}"


def base64url(octets: bytes) -> str:
    """As it stands in a path."""
    return urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def _time(moment: datetime, words: str, kind: str) -> Markup:
    utc = f"{day(moment)}, {moment:%H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}" data-time="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", utc, kind, words
    )
