"""The OpenAPI document of the management API, and a page of it for people.

The page is plain HTML of our own: no script, and no asset from anywhere else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from hourpass import __version__
from hourpass.server.api import problems, shapes
from hourpass.server.api.problems import KINDS, MEDIA_TYPE, Kind
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES

PREFIX = "/api/v1"
STYLE = Path(__file__).with_name("docs.css")
_SCHEME = "bearer"
_ALWAYS = (400, 401, 403, 503)
_DESCRIPTION = """\
Create API clients, change, rotate, suspend and delete them; read the audit trail.

Ask the token endpoint for an access token with `resource` set to `{identifier}` and send it as
`Authorization: Bearer …`. The caller sees and changes only its own organization, unless it holds
`hourpass.organizations:read` or `hourpass.organizations:write`.

Refusals are problem documents (RFC 9457); programs read their `type`.
"""


def described(
    scope: str,
    *statuses: int,
    also: Mapping[int, type[BaseModel]] | None = None,
    etag: Sequence[int] = (),
    content: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a route's decorator takes: its scope, and every refusal it can answer with.

    `also` are other answers than the usual one, `etag` those with that header, `content` media
    types of an answer that is no JSON.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: _refusals(status) for status in sorted({*_ALWAYS, *statuses})
    }
    for status, model in (also or {}).items():
        responses[status] = {"model": model, "description": model.__doc__}
    for status in etag:
        responses.setdefault(status, {})["headers"] = {
            "ETag": {"description": "Its version.", "schema": {"type": "string"}}
        }
    if content is not None:
        texts = {
            name: {"schema": {"type": "string", "description": text}}
            for name, text in content.items()
        }
        responses[200] = {"description": "The events.", "content": texts}
    return {"responses": responses, "openapi_extra": {"security": [{_SCHEME: [scope]}]}}


def openapi(app: FastAPI, *, issuer: str, identifier: str) -> dict[str, Any]:
    """The document."""
    document = get_openapi(
        title="Hourpass management API",
        version=__version__,
        openapi_version="3.1.0",
        description=_DESCRIPTION.format(identifier=identifier),
        routes=app.routes,
        servers=[{"url": issuer}],
    )
    components = document["components"]
    components["schemas"] = {
        name: schema
        for name, schema in components["schemas"].items()
        if name not in ("HTTPValidationError", "ValidationError")
    }
    reference = "#/components/schemas/{model}"
    problem = shapes.ProblemDocument.model_json_schema(ref_template=reference)
    components["schemas"].update(problem.pop("$defs"))
    components["schemas"]["ProblemDocument"] = problem
    components["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": f"An access token of this server for {identifier}.",
        }
    }
    for _, _, operation in operations_of(document):
        answers = operation["responses"]
        if "HTTPValidationError" in json.dumps(answers.get("422", {})):
            del answers["422"]  # a path's name is any text: it is found or it is not
    return document


def operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation, in the order of the document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def page(document: Mapping[str, Any]) -> bytes:
    """The page: every operation, what it needs and what it answers."""
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8"><title>Hourpass management API</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="stylesheet" href="docs/style.css"></head>',
        f"<body><main><h1>{escape(document['info']['title'])}</h1>",
        *(
            f"<p>{_code(paragraph)}</p>"
            for paragraph in document["info"]["description"].strip().split("\n\n")
        ),
        '<p>The same for programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
    ]
    tag = ""
    for method, path, operation in sorted(operations_of(document), key=_tag):
        if _tag((method, path, operation)) != tag:
            tag = _tag((method, path, operation))
            parts.append(f"<h2>{escape(tag)}</h2>")
        parts += _operation(document, method, path, operation)
    parts.append('<h2 id="scopes">Scopes</h2><dl>')
    parts += [
        f"<dt><code>{escape(name)}</code></dt><dd>{escape(text)}</dd>"
        for name, text in MANAGEMENT_SCOPES.items()
    ]
    parts.append('</dl><h2 id="problems">Problems</h2><dl>')
    parts += [
        f"<dt><code>{kind.type}</code></dt><dd>{kind.status}: {escape(kind.title)}</dd>"
        for kind in KINDS
    ]
    parts.append("</dl></main></body></html>\n")
    return "\n".join(parts).encode()


def _tag(operation: tuple[str, str, dict[str, Any]]) -> str:
    return str(operation[2]["tags"][0])


def _operation(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<section id="{name}"><h3>{escape(operation["summary"])}</h3>'
    yield f"<p><code>{method} {escape(path)}</code> · <code>{name}</code></p>"
    yield f"<p>{_code(operation.get('description', ''))}</p>"
    (scope,) = operation["security"][0][_SCHEME]
    yield f"<p>Needs <code>{escape(scope)}</code>.</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><thead><tr><th>Parameter</th><th>Where</th><th>What</th></tr></thead><tbody>"
        for parameter in parameters:
            what = parameter.get("description") or parameter["schema"].get("description", "")
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td>"
                f"<td>{escape(parameter['in'])}</td><td>{_code(what)}</td></tr>"
            )
        yield "</tbody></table>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        yield f"<p>Body, for example:</p><pre>{_example(document, body['schema'])}</pre>"
    answers = ", ".join(f"{status}" for status in operation["responses"])
    yield f"<p>Answers: {escape(answers)}</p></section>"


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    choices = schema.get("anyOf", [schema])
    name = str(choices[0]["$ref"]).rpartition("/")[2]
    examples = document["components"]["schemas"][name]["examples"]
    return escape(json.dumps(examples[0], indent=2, ensure_ascii=False))


def _code(text: str) -> str:
    """Text whose words between backquotes are code."""
    parts = escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )


def _refusals(status: int) -> dict[str, Any]:
    kinds = [kind for kind in KINDS if kind.status == status]
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                "examples": {kind.name: {"value": _problem(kind)} for kind in kinds},
            }
        },
    }


def _problem(kind: Kind) -> Any:
    return json.loads(problems.Problem(kind, "…").body("4f1c0d2b9a7e-1"))
