"""Secrets in memory that no log line and no traceback shows. Pure."""


class Hidden:
    """A secret text; its repr hides it, and it cannot be formatted by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text: for the one answer that shows it, and for its digest."""
        return self._text

    def __repr__(self) -> str:
        return "…"

    __str__ = __repr__
