"""The example API as a server runs it: `uvicorn hourpass.demo.serve:api`."""

import os

from hourpass.demo.api import create_api

api = create_api(
    os.environ.get("HOURPASS_DEMO_ISSUER", "http://localhost:8080"),
    os.environ.get("HOURPASS_DEMO_AUDIENCE", "http://localhost:8081"),
)
