"""The main job, end to end: a client gets a token, on both databases."""

import base64
import json

import pytest

from support.installation import Server


@pytest.mark.spec("seed", "Token expiry", "Every access token expires after 1 hour.")
def test_a_token_says_who_what_and_for_how_long(shared_server: Server) -> None:
    """The answer is RFC 6749's, and the claims are RFC 9068's."""
    credentials = shared_server.installation.create_client("customers:read", "bookings:read")

    answer = shared_server.token(credentials)

    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"] == "bookings:read customers:read"
    claims = json.loads(base64.urlsafe_b64decode(body["access_token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["aud"] == "https://api.example.com"
    assert claims["sub"] == claims["client_id"] == credentials.client_id
