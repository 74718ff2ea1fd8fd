"""Why a form was not done, worded for the page that shows the form again."""

from hourpass.server.operators.sessions.sign_in import SignInRefused, TooManyFailures
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing, Stale

NOT_PROVEN = (SignInRefused, TooManyFailures)
"""What `Visit.prove_again` raises for a person; TooBusy is a page of its own."""


def words(refused: Exception | None) -> str:
    """A sentence; empty when nothing was refused."""
    if refused is None:
        return ""
    if isinstance(refused, SignInRefused):
        return "That did not prove that it is you. Look at the password and the code again."
    return sentence(refused.problem if isinstance(refused, BadInput) else str(refused))


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def status(refused: Exception | None) -> int:
    """The HTTP status of the page that shows the form again."""
    match refused:
        case None:
            return 200
        case TooManyFailures():
            return 429
        case Missing():
            return 404
        case Stale():
            return 412
        case Conflict():
            return 409
        case Forbidden():
            return 403
    return 422
