"""Where the bars of a chart of tokens are. Pure: the template only draws what is said here.

The picture is stretched to whatever room there is, so its units mean nothing; words and numbers
stand beside it, where they keep their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hourpass.server.clients.usage import Period

WIDTH, HEIGHT = 1000.0, 100.0
_BAR = 0.64  # of its place; the rest is the gap to the next
_LEAST = 1.6  # one refusal among thousands of tokens can still be seen
_STEPS = (1, 2, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle; `y` counts from the top."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One period: `issued` stands on the ground and `refused` on top of it; None: there is none."""

    period: Period
    slot: Box
    issued: Box | None
    refused: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of tokens issued and refused; `top` is the number at its upper edge."""

    bars: tuple[Bar, ...]
    top: int
    issued: int
    refused: int
    is_daily: bool
    marks: tuple[datetime, ...]
    """Where periods begin that are named below: the first, one in the middle, the last."""

    @property
    def levels(self) -> tuple[str, str, str]:
        """The numbers at the upper edge, in the middle and at the ground."""
        return short(self.top), short(self.top // 2), "0"


def of(periods: Sequence[Period]) -> Chart:
    """The chart of these periods, oldest first."""
    top = _round_up(max((each.issued + each.refused for each in periods), default=0))
    place = WIDTH / max(1, len(periods))
    named = sorted({0, len(periods) // 2, len(periods) - 1}) if periods else []
    return Chart(
        bars=tuple(_bar(each, number * place, place, top) for number, each in enumerate(periods)),
        top=top,
        issued=sum(each.issued for each in periods),
        refused=sum(each.refused for each in periods),
        is_daily=len(periods) > 1
        and periods[1].begins_at - periods[0].begins_at >= timedelta(days=1),
        marks=tuple(periods[number].begins_at for number in named),
    )


def short(number: int) -> str:
    """A number that fits beside a chart: `950`, `12k`, `1.5M`."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + unit
    return str(number)


def _bar(period: Period, left: float, place: float, top: int) -> Bar:
    x, width = round(left + place * (1 - _BAR) / 2, 2), round(place * _BAR, 2)
    issued = _box(period.issued, x, HEIGHT, width, top)
    ground = HEIGHT if issued is None else issued.y
    return Bar(
        period=period,
        slot=Box(x=round(left, 2), y=0, width=round(place, 2), height=HEIGHT),
        issued=issued,
        refused=_box(period.refused, x, ground, width, top),
    )


def _box(number: int, x: float, ground: float, width: float, top: int) -> Box | None:
    if not number:
        return None
    height = min(ground, max(_LEAST, number * HEIGHT / top))
    return Box(x=x, y=round(ground - height, 2), width=width, height=round(height, 2))


def _round_up(number: int) -> int:
    """The next number that is easy to read and to halve: 2, 4, 6, 8, 10, 20, 40 …"""
    size = 1
    while number > 10 * size:
        size *= 10
    return max(2, next(step * size for step in _STEPS if step * size >= number))
