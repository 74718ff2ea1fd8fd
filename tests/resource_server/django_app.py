"""A small Django project for the doors' tests: settings, views and URLs in one file."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.test import override_settings
from django.urls import URLPattern, re_path

if not settings.configured:  # a process has settings once, and several test files use these
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="django_app",
        SECRET_KEY="not a secret",
        LOGGING_CONFIG=None,
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [
                "hourpass.resource_server.rest_framework.BearerAuthentication"
            ],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "UNAUTHENTICATED_USER": None,
        },
        HOURPASS={"ISSUER": "http://127.0.0.1:1", "AUDIENCE": "https://api.example.com"},
    )
    django.setup()

from door_apps import seen
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hourpass.resource_server import rest_framework
from hourpass.resource_server.django import access_token, needs

MIDDLEWARE = ["hourpass.resource_server.django.BearerTokens"]


@contextmanager
def project(urls: list[URLPattern], *, middleware: list[str], **hourpass: Any) -> Iterator[None]:
    """The project with these URLs, and with `hourpass` as its setting HOURPASS."""
    urlconf = type("urlconf", (), {"urlpatterns": urls})
    with override_settings(ROOT_URLCONF=urlconf, MIDDLEWARE=middleware, HOURPASS=hourpass):
        yield


def echo(request: HttpRequest) -> JsonResponse:
    """Whom the API takes for the caller, and the path it serves."""
    return JsonResponse(seen(access_token(request).client_id, request.path))


async def echo_async(request: HttpRequest) -> JsonResponse:
    """The same as a coroutine."""
    await asyncio.sleep(0)
    return echo(request)


class Echo(APIView):  # type: ignore[misc]  # untyped
    """The same for Django REST framework."""

    def get(self, request: Request) -> Response:
        """`request.auth` is the token."""
        return Response(seen(request.auth.client_id, request.path))

    put = get


class Customers(Echo):
    permission_classes = (rest_framework.needs("customers:read"),)


class Bookings(Echo):
    permission_classes = (rest_framework.needs("bookings:read"),)


class Profile(Echo):
    permission_classes = (rest_framework.needs("profile:write"),)


BY_SCOPES = [
    re_path("^customers$", needs("customers:read")(echo)),
    re_path("^customer/[^/]+/(?:bookings|booking/2)$", needs("bookings:read")(echo)),
    re_path("^customer/[^/]+/profile$", needs("profile:write")(echo_async)),
]
BY_GRANTS = [re_path("^", echo)]
REST_FRAMEWORK = [
    re_path("^customers$", Customers.as_view()),
    re_path("^customer/[^/]+/(?:bookings|booking/2)$", Bookings.as_view()),
    re_path("^customer/[^/]+/profile$", Profile.as_view()),
    re_path("^", Echo.as_view()),
]
urlpatterns: list[URLPattern] = []
