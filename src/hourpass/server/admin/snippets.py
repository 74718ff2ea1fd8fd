"""The first call of an integration, in the languages that integrators use. Pure.

None holds a secret: each reads it from the environment, as the .env block sets it.
"""


def snippets(token_url: str) -> list[tuple[str, str]]:
    """Name of the language and program, shortest first."""
    return [
        ("curl", _CURL.replace("TOKEN_URL", token_url)),
        ("Python", _PYTHON.replace("TOKEN_URL", token_url)),
        ("JavaScript", _JAVASCRIPT.replace("TOKEN_URL", token_url)),
        ("Go", _GO.replace("TOKEN_URL", token_url)),
    ]


_CURL = """\
curl -u "$HOURPASS_CLIENT_ID:$HOURPASS_CLIENT_SECRET" \\
     -d grant_type=client_credentials \\
     TOKEN_URL"""

_PYTHON = """\
import os
import requests

answer = requests.post(
    "TOKEN_URL",
    auth=(os.environ["HOURPASS_CLIENT_ID"], os.environ["HOURPASS_CLIENT_SECRET"]),
    data={"grant_type": "client_credentials"},
    timeout=10,
)
answer.raise_for_status()
token = answer.json()["access_token"]  # good for one hour"""

_JAVASCRIPT = """\
const { HOURPASS_CLIENT_ID: id, HOURPASS_CLIENT_SECRET: secret } = process.env;
const answer = await fetch("TOKEN_URL", {
  method: "POST",
  headers: { Authorization: "Basic " + btoa(`${id}:${secret}`) },
  body: new URLSearchParams({ grant_type: "client_credentials" }),
});
if (!answer.ok) throw new Error(await answer.text());
const { access_token: token } = await answer.json(); // good for one hour"""

_GO = """\
config := clientcredentials.Config{ // golang.org/x/oauth2/clientcredentials
    ClientID:     os.Getenv("HOURPASS_CLIENT_ID"),
    ClientSecret: os.Getenv("HOURPASS_CLIENT_SECRET"),
    TokenURL:     "TOKEN_URL",
}
client := config.Client(ctx) // asks for a new token when one runs out"""
