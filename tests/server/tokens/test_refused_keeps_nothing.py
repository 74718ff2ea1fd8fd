"""A refusal outlives its request: it must not keep that, nor the secret in it."""

from decisions import FACTS, NOW, REQUEST
from token_requests import Octets

from hourpass.server.tokens.exchange import Refused, exchange, read


def test_a_refusal_holds_no_frame_of_where_it_was_raised() -> None:
    """Frames hold the request and the whole batch, in circles that only the collector ends."""
    for outcome in (exchange(REQUEST, None, FACTS, NOW), read(Octets(b"%").raw())):
        assert isinstance(outcome, Refused)
        error = outcome.error
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)
