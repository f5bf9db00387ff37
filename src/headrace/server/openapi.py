"""The OpenAPI 3.1 document, generated from the route table. `python -m headrace.server.openapi > openapi.json`."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Any

import msgspec

from headrace.server.browsers import SECRET_HEADER
from headrace.server.routes import NeededProof, Route
from headrace.server.table import ROUTES
from headrace.wire.api import ErrorBody
from headrace.wire.v2beta1 import Message, Status, UploadError

_ERRORS: dict[str, type[Any] | None] = {"own": ErrorBody, "gateway": Status, "upload": UploadError, "page": None}
_SECURITY: dict[NeededProof, list[dict[str, list[str]]]] = {
    NeededProof.NONE: [],
    NeededProof.CODE: [],
    NeededProof.COOKIE: [{"session": []}],
    NeededProof.SIGNED_IN: [{"token": []}, {"session": [], "session_secret": []}],
    NeededProof.TOKEN: [{"token": []}],
}


@cache
def document_bytes() -> bytes:
    """The document as JSON, the same for the same routes."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1) + b"\n"


def document(routes: tuple[Route, ...] = ROUTES) -> dict[str, Any]:
    """The document as plain objects."""
    shapes = _shapes(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace",
            "version": "1",
            "description": "Do not edit: generated from the server's route table by `make api-types`.",
        },
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "headrace_session_PORT"},
                "session_secret": {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
            },
        },
    }


class _Shapes(msgspec.Struct, frozen=True):
    """Schemas of all shapes, under names that do not collide."""

    by_type: dict[Any, dict[str, Any]]
    components: dict[str, Any]


def _shapes(routes: tuple[Route, ...]) -> _Shapes:
    used = [kind for route in routes for kind in (route.body, route.answer, route.event, _ERRORS[route.errors])]
    types = list(dict.fromkeys(kind for kind in used if isinstance(kind, type)))
    by_type: dict[Any, dict[str, Any]] = {}
    components: dict[str, Any] = {}
    # KFP's messages and our shapes share some names (Pipeline, RunList): KFP's get its own prefix.
    for template, kinds in (
        ("#/components/schemas/{name}", [kind for kind in types if not _is_kfp(kind)]),
        ("#/components/schemas/V2beta1{name}", [kind for kind in types if _is_kfp(kind)]),
    ):
        schemas, found = msgspec.json.schema_components(kinds, ref_template=template)
        by_type |= dict(zip(kinds, schemas, strict=True))
        prefix = "V2beta1" if "V2beta1" in template else ""
        components |= {prefix + name: schema for name, schema in found.items()}
    return _Shapes(by_type, dict(sorted(components.items())))


def _is_kfp(kind: type[Any]) -> bool:
    return issubclass(kind, Message) or kind.__module__.endswith(".v2beta1")


def _operation(route: Route, shapes: _Shapes) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [route.tag],
        "security": _SECURITY[route.proof],
        "parameters": _parameters(route),
        "responses": {_good_status(route): _answer(route, shapes), "default": _error(route, shapes)},
    }
    if body := _body(route, shapes):
        operation["requestBody"] = body
    return operation


def _good_status(route: Route) -> str:
    return "201" if route.path == "/api/runs" and route.method == "POST" else "200"


_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "Sent again with the same key within a day, the request makes no other run: it gets the first one.",
}


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    in_query = [
        {"name": query.name, "in": "query", "schema": {"type": query.type}}
        | ({"description": query.note} if query.note else {})
        for query in route.query
    ]
    return in_path + in_query + ([_IDEMPOTENCY_KEY] if route.idempotent else [])


def _body(route: Route, shapes: _Shapes) -> dict[str, Any] | None:
    if route.upload:
        file = {"type": "object", "required": ["uploadfile"], "properties": {"uploadfile": {"type": "string"}}}
        return {"required": True, "content": {"multipart/form-data": {"schema": file}}}
    if route.body is None:
        return None
    return {
        "required": not route.body_optional,
        "content": {"application/json": {"schema": shapes.by_type[route.body]}},
    }


def _answer(route: Route, shapes: _Shapes) -> dict[str, Any]:
    if isinstance(route.answer, str):
        shape = {"schema": shapes.by_type[route.event]} if route.event else {}
        return {"description": route.summary, "content": {route.answer: shape}}
    return {
        "description": route.summary,
        "content": {"application/json": {"schema": shapes.by_type[route.answer]}},
    }


def _error(route: Route, shapes: _Shapes) -> dict[str, Any]:
    kind = _ERRORS[route.errors]
    if kind is None:
        return {"description": "What went wrong, for a person.", "content": {"text/html": {}}}
    return {"description": "What went wrong.", "content": {"application/json": {"schema": shapes.by_type[kind]}}}


if __name__ == "__main__":
    sys.stdout.buffer.write(document_bytes())
