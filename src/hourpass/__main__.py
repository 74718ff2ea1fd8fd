"""`python -m hourpass` is `hourpass`."""

from hourpass.cli.main import run

run()
