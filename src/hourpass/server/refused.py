"""Why a deed was not done: the four answers that every noun here gives. Pure."""


class BadInput(ValueError):
    """A value that cannot be accepted; `member` names it, the text says what to give."""

    def __init__(self, member: str, problem: str) -> None:
        self.member = member
        self.problem = problem
        super().__init__(f"{member}: {problem}")


class Missing(LookupError):
    """There is no such thing, or none that the caller may see: nobody is told which."""


class Conflict(Exception):
    """The state of things does not allow the deed, or somebody else was faster."""


class Stale(Conflict):
    """It is not any more what the caller last saw."""


class Forbidden(Exception):
    """The caller may see it, and may not do this; the text says what is lacking."""
