"""What many Python teams run: Authlib's grant in Flask under gunicorn, an INSERT a token on SQLite.

Secrets as bcrypt-like hashes would make it slower still; here they are compared as they are.
Environment: PEER_CREDENTIALS (base64 `id:secret` lines), PEER_DATABASE (SQLite file).
"""

import base64
import os
import secrets
import sqlite3
import time
from pathlib import Path

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc6749 import grants
from flask import Flask

KEY = JsonWebKey.generate_key("EC", "P-256", is_private=True)
DATABASE = os.environ["PEER_DATABASE"]
CLIENTS = dict(
    base64.b64decode(line).decode().split(":", 1)
    for line in Path(os.environ["PEER_CREDENTIALS"]).read_text().split()
)


class Client:
    """A registered client as Authlib wants one."""

    def __init__(self, client_id):
        self.client_id = client_id

    def check_client_secret(self, secret):
        return secrets.compare_digest(CLIENTS[self.client_id], secret)

    def check_endpoint_auth_method(self, method, _endpoint):
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"

    def get_allowed_scope(self, _scope):
        return "bookings:read customers:read"


connection = sqlite3.connect(DATABASE, isolation_level=None, check_same_thread=False)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA synchronous=FULL")
connection.execute("CREATE TABLE IF NOT EXISTS token (jti TEXT, client_id TEXT, issued_at INTEGER)")


def query_client(client_id):
    return Client(client_id) if client_id in CLIENTS else None


def generate(client, grant_type, user=None, scope=None, **_more):
    now, jti = int(time.time()), secrets.token_urlsafe(16)
    claims = {
        "iss": "http://localhost",
        "sub": client.client_id,
        "client_id": client.client_id,
        "aud": "https://api.example.com",
        "scope": scope,
        "iat": now,
        "exp": now + 3600,
        "jti": jti,
    }
    header = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.thumbprint()}
    token = jwt.encode(header, claims, KEY).decode()
    return {
        "token_type": "Bearer",
        "access_token": token,
        "expires_in": 3600,
        "scope": scope,
        "_jti": jti,
    }


def save_token(token, request):
    jti = token.pop("_jti")
    connection.execute(
        "INSERT INTO token VALUES (?, ?, ?)", (jti, request.client.client_id, int(time.time()))
    )


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)


app = Flask(__name__)
server = AuthorizationServer(app, query_client=query_client, save_token=save_token)
server.register_token_generator("default", generate)
server.register_grant(ClientCredentials)


@app.post("/token")
def token():
    return server.create_token_response()
