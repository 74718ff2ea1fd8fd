"""`/authorize`: it is there because programs want its address, and it does nothing."""

import pytest

from support.installation import Server

PATH = "/authorize"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LURE = {
    "response_type": "code",
    "client_id": "m2m_00000000000000000000",
    "redirect_uri": "https://attacker.example/<script>",
    "state": "\"'><script>alert(1)</script>",
    "scope": "M4RK",
}


@pytest.mark.spec("contract", "HTTP", "answers 400 with a page: this server signs in machines")
def test_a_person_is_told_where_they_are(shared_server: Server) -> None:
    """A page that runs nothing, frames nowhere and names the token endpoint."""
    answer = shared_server.http.get(PATH, headers=BROWSER)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "signs in machines, not people" in answer.text
    assert f"{shared_server.url}/token" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 6749", "4.1.2.1", "unsupported_response_type")
@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png"])
def test_a_program_is_told_in_json(shared_server: Server, accept: str) -> None:
    """With the code that the standard has for it."""
    answer = shared_server.http.get(PATH, headers={"Accept": accept})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == "unsupported_response_type"
    assert answer.json().keys() == {"error", "error_description"}


@pytest.mark.spec("threats", "6", "nothing of the input echoed into HTML")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_it_sends_nobody_anywhere_and_repeats_nothing(
    shared_server: Server, method: str, accept: str
) -> None:
    """No redirect, whatever is asked for; the answer is the same for all."""
    headers = {"Accept": accept}
    plain = shared_server.http.request(method, PATH, headers=headers)
    lured = shared_server.http.request(
        method, PATH, params=LURE, headers=headers, data=LURE if method == "POST" else None
    )

    assert lured.status_code == 400
    assert lured.content == plain.content
    assert "location" not in lured.headers
    assert "set-cookie" not in lured.headers


def test_its_head_is_that_of_get_and_other_methods_are_refused(shared_server: Server) -> None:
    """405 with the list of those there are."""
    head = shared_server.http.head(PATH, headers=BROWSER)
    get = shared_server.http.get(PATH, headers=BROWSER)
    put = shared_server.http.put(PATH)

    assert (head.status_code, head.content) == (400, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert put.status_code == 405
    assert put.headers["allow"] == "GET, HEAD, POST"
