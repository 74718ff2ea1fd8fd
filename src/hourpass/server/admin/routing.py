"""Which function makes which page, and what a visitor needs to see it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Match, Route

from hourpass.server.admin.visit import Visit

Handler = Callable[[Visit], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """A page for one method at one path below /admin.

    `needs` is a management scope; None: anybody who is signed in. `is_open`: everybody.
    """

    method: str
    route: Route
    handler: Handler
    needs: str | None
    is_open: bool


class Pages:
    """The pages of one noun."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    def get(
        self, path: str, *, needs: str | None = None, is_open: bool = False
    ) -> Callable[[Handler], Handler]:
        """A page to look at."""
        return self._add("GET", path, needs, is_open=is_open)

    def post(
        self, path: str, *, needs: str | None = None, is_open: bool = False
    ) -> Callable[[Handler], Handler]:
        """What a form does."""
        return self._add("POST", path, needs, is_open=is_open)

    def _add(
        self, method: str, path: str, needs: str | None, *, is_open: bool
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            route = Route("/admin" + path, _never, methods=[method])
            self.pages.append(Page(method, route, handler, needs, is_open))
            return handler

        return add


def find(
    pages: Iterable[Page], method: str, path: str
) -> tuple[Page | None, dict[str, str], set[str]]:
    """The page and the names in its path; which methods the path has, when it has others."""
    allowed: set[str] = set()
    scope = {"type": "http", "method": method, "path": path}
    for page in pages:
        match, more = page.route.matches(scope)
        if match is Match.FULL:
            return page, {k: str(v) for k, v in more["path_params"].items()}, set()
        if match is Match.PARTIAL:
            allowed |= page.route.methods or set()  # with HEAD, where GET is
    return None, {}, allowed


def _never(_request: object) -> Response:
    raise AssertionError("pages are called by AdminPages, not by Starlette")
