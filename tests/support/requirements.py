"""What a test needs of the machine that is not there."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skips the test, by name; fails it where all have to run."""
    if os.environ.get("HOURPASS_TESTS_COMPLETE") == "1":
        pytest.fail(f"requires {what}")
    pytest.skip(f"requires {what}")
