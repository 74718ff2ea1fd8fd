"""What a decision needs, made without a database: a catalogue, keys, clients and requests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.server.audit.events import Actor
from hourpass.server.catalogue import file
from hourpass.server.catalogue.model import Catalogue
from hourpass.server.clients import secrets
from hourpass.server.clients.model import Client
from hourpass.server.clients.secrets import ClientCredential, Secret
from hourpass.server.keys.keyring import Keyring
from hourpass.server.keys.model import SigningKey
from hourpass.server.tokens.authenticate import TokenRequest
from hourpass.server.tokens.exchange import Facts, Registered
from support.installation import CATALOGUE

NOW = datetime(2026, 2, 24, 12, tzinfo=UTC)
MANAGEMENT = "https://auth.example.com/api/v1"
BOOKINGS, BILLING = "https://api.example.com", "https://billing.example.com"
PEPPER = bytes(range(32))
SECRET, OTHER_SECRET = secrets.new(), secrets.new()
CREDENTIAL = ClientCredential(secrets.digest(SECRET, PEPPER), 1)

_PRIVATE = PrivateKey.generate(Algorithm.ES256)
KEY = SigningKey(
    kid=_PRIVATE.kid,
    algorithm=Algorithm.ES256,
    public_jwk=dict(_PRIVATE.public_jwk),
    created_at=NOW - timedelta(days=1),
    activates_at=NOW - timedelta(days=1),
)
KEYRING = Keyring(version=1, keys=(KEY,), peppers={1: PEPPER}, private={KEY.kid: _PRIVATE})
FACTS = Facts(
    Catalogue(version=1, management_identifier=MANAGEMENT, apis=file.parse(CATALOGUE)), KEYRING
)
CLIENT = Client(
    client_id="m2m_0123456789abcdefghjk",
    organization="default",
    name="Sync",
    description="",
    scopes=frozenset({"customers:read", "bookings:read"}),
    credentials=(CREDENTIAL,),
    created_at=NOW - timedelta(days=30),
    created_by=Actor("operator", "1", "Ada"),
)
REQUEST = TokenRequest(
    client_id=CLIENT.client_id,
    secret=SECRET,
    method="client_secret_basic",
    request_id="r-1",
    ip="192.0.2.1",
)


def request(secret: Secret = SECRET, **more: str) -> TokenRequest:
    """A request of the client above."""
    return replace(REQUEST, secret=secret, **more)  # type: ignore[arg-type]  # the names are TokenRequest's own


def registered(*, organization_suspended: bool = False, **more: object) -> Registered:
    """The client above, in another state."""
    client = replace(CLIENT, **more)  # type: ignore[arg-type]  # the names are Client's own
    return Registered(client, organization_suspended)
