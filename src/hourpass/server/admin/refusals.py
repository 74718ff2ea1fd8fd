"""Why a form was not done, worded for the page that shows the form again."""

from hourpass.server.operators.sessions.sign_in import SignInRefused, TooManyFailures
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing, Stale

_LABELS = {
    "name": "Name",
    "description": "Description",
    "expires_in_days": "Expires after (days)",
    "limit_per_minute": "Requests a minute",
    "email": "E-mail",
    "password": "Password",
    "id": "ID",
}
NOT_PROVEN = (SignInRefused, TooManyFailures)
"""What `Visit.prove_again` raises for a person; TooBusy is a page of its own."""


def words(refused: Exception | None) -> str:
    """A sentence; empty when nothing was refused."""
    if refused is None:
        return ""
    if isinstance(refused, SignInRefused):
        return "That did not prove that it is you. Look at the password and the code again."
    if isinstance(refused, BadInput):
        label = _LABELS.get(refused.member)
        return sentence(f"{label}: {refused.problem}" if label else refused.problem)
    return sentence(str(refused))


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
