"""The example API's own refusals, in the shape that its token refusals have."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException


class Fault(BaseModel):
    """One field that is not as it must be."""

    field: str
    message: str


class Refusal(BaseModel):
    """Every answer that is not 200; `error` is for programs, `error_description` for people."""

    error: str
    error_description: str
    fields: list[Fault] | None = None


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No valid access token"},
    403: {"model": Refusal, "description": "The access token lacks the scope"},
    404: {"model": Refusal, "description": "No such thing"},
    422: {"model": Refusal, "description": "A field is not as it must be"},
}


def install(app: FastAPI) -> None:
    """Have `app` answer all its refusals in this shape."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)


async def _http(_: Request, fault: Exception) -> JSONResponse:
    """404 is `not_found`, 405 `method_not_allowed`, and so on."""
    if not isinstance(fault, HTTPException):
        raise fault
    error = HTTPStatus(fault.status_code).name.lower()
    body = Refusal(error=error, error_description=fault.detail)
    return _answer(fault.status_code, body, fault.headers)


async def _validation(_: Request, fault: Exception) -> JSONResponse:
    """Names every field at once; the values themselves are not echoed."""
    if not isinstance(fault, RequestValidationError):
        raise fault
    fields = [
        Fault(field=".".join(map(str, error["loc"])), message=error["msg"])
        for error in fault.errors()
    ]
    description = f"not as it must be: {', '.join(entry.field for entry in fields)}"
    body = Refusal(error="validation_failed", error_description=description, fields=fields)
    return _answer(422, body, None)


def _answer(status: int, body: Refusal, headers: Any) -> JSONResponse:
    return JSONResponse(body.model_dump(exclude_none=True), status, headers)
