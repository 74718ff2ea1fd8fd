"""Fixtures for tests that drive a browser."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from support.desk import Desk
from support.installation import Server

# The shell first: it draws no tabs and menus, which takes a quarter of the time for nobody to see.
_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


def chromium() -> str:
    """Where the system's Chromium is."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    assert found, "no Chromium: `make test` installs it with apt; or install it and try again"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium.

    Of a module, not of the run: while it is there an event loop is running in this thread, and
    tests elsewhere run loops of their own.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        yield running
        running.close()


@pytest.fixture
def new_desk(browser: Browser, shared_server: Server) -> Iterator[Callable[..., Desk]]:
    """Makes desks at the shared server; each is closed, and must have had no complaint."""
    made: list[Desk] = []

    def make(server: Server | None = None, **context: Any) -> Desk:
        made.append(Desk(browser, server or shared_server, **context))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """A desk at the shared server; nobody has signed in."""
    return new_desk()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A browser sees the same pages whatever the database: on PostgreSQL the main flows do.

    Every function behind the pages, and every form, is tested on both without a browser.
    Those of a module run in one worker: each worker with any of them starts a browser for it.
    """
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        names = getattr(item, "fixturenames", ())
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        again = "browser" in names and parameters.get("backend") == "postgresql"
        main = item.get_closest_marker("main_flow") is not None
        (left_out if again and not main else kept).append(item)
        if "browser" in names and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
