"""What Authlib's own documentation leads to: its SQLAlchemy models in Flask, under gunicorn.

One SELECT of the client and one INSERT of the token for each request, on SQLite with
synchronous=FULL; ES256 JWT access tokens (RFC 9068) by Authlib's generator.
Environment: PEER_CREDENTIALS (base64 `id:secret` lines), PEER_DATABASE (SQLite file).
"""

import base64
import os
from pathlib import Path

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.sqla_oauth2 import (
    OAuth2ClientMixin,
    OAuth2TokenMixin,
    create_query_client_func,
    create_save_token_func,
)
from authlib.jose import JsonWebKey
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event

SCOPE = "bookings:read customers:read"
ISSUER = "http://localhost"

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['PEER_DATABASE']}"
db = SQLAlchemy(app)
key = JsonWebKey.generate_key("EC", "P-256", is_private=True)


class Client(db.Model, OAuth2ClientMixin):
    __tablename__ = "oauth2_client"
    id = db.Column(db.Integer, primary_key=True)


class Token(db.Model, OAuth2TokenMixin):
    __tablename__ = "oauth2_token"
    id = db.Column(db.Integer, primary_key=True)
    access_token = db.Column(db.Text, nullable=False)

    def __init__(self, user_id=None, **values):
        super().__init__(**values)


class Tokens(JWTBearerTokenGenerator):
    def __init__(self):
        super().__init__(issuer=ISSUER, alg="ES256")

    def get_jwks(self):
        return {"keys": [{**key.as_dict(is_private=True), "kid": key.thumbprint()}]}

    def get_audiences(self, client, user, scope):
        return "https://api.example.com"


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)


with app.app_context():

    @event.listens_for(db.engine, "connect")
    def _durable(connection, _record):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    db.create_all()
    for line in Path(os.environ["PEER_CREDENTIALS"]).read_text().split():
        client_id, secret = base64.b64decode(line).decode().split(":", 1)
        client = Client(client_id=client_id, client_secret=secret)
        client.set_client_metadata(
            {
                "grant_types": ["client_credentials"],
                "scope": SCOPE,
                "token_endpoint_auth_method": "client_secret_basic",
            }
        )
        db.session.add(client)
    db.session.commit()

server = AuthorizationServer(
    app,
    query_client=create_query_client_func(db.session, Client),
    save_token=create_save_token_func(db.session, Token),
)
server.register_token_generator("default", Tokens())
server.register_grant(ClientCredentials)


@app.post("/token")
def token():
    return server.create_token_response()
