"""`/openapi.json`: the routes described in OpenAPI 3.1, made from the table that serves them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from glink import __version__
from glink.permit import Scope
from glink.server.problem import CONTENT_TYPE
from glink.server.route import JSON, PROJECT, Call, Param, Reply, Route

_REFERENCE: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "outcome": {"const": "unknown"},
    },
}
_REFUSED: Final = {
    "description": "refused: RFC 9457",
    "content": {CONTENT_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}},
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_BYTES: Final = "application/octet-stream"
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same request under the same key is done once",
    "schema": {"type": "string", "pattern": "^[ -~]{1,128}$"},
}


def openapi_route(routes: Sequence[Route]) -> Route:
    """The route that describes all the others, and itself."""
    described = list(routes)

    def answer(call: Call) -> Reply:
        return Reply.json(describe(described))

    own = Route("GET", "/openapi.json", Scope.READ, answer, "this description", replies={200: {"type": "object"}})
    described.append(own)
    return own


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Glink", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    params = [_in_path(name) for name in route.names] + [_in_query(one) for one in route.query]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": "-".join([route.method.lower(), *re.findall(r"[\w.]+", route.path)]),
        "parameters": params + ([_KEY] if route.keyed else []),
        "responses": {str(status): _reply(shape, schemas) for status, shape in route.replies.items()},
        "security": [] if route.scope is Scope.OPEN else [{"bearer": []}, {"key": []}],
    }
    operation["responses"]["default"] = _REFUSED
    if route.body is not None or route.raw is not None:
        schema = _schema(route.body, schemas) if route.raw is None else dict(route.raw)
        kind = _BYTES if schema.get("format") == "binary" else JSON
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    return operation


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^{PROJECT.pattern}$" if name == PROJECT.name else "^[^/]+$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(param: Param) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{param.pattern})$"}
    if param.number is not None:
        low, high = param.number
        schema = {"type": "integer", "minimum": low, "maximum": high}
    about = {"name": param.name, "in": "query", "description": param.summary, "required": param.required}
    return {**about, "schema": schema}


def _reply(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """None: no body; a text or several: content types; a mapping: a JSON Schema; else a pydantic type."""
    if shape is None:
        return {"description": "done"}
    if isinstance(shape, str | tuple):
        types = (shape,) if isinstance(shape, str) else shape
        return {"description": "as it is", "content": {one: {"schema": {"type": "string"}} for one in types}}
    schema = dict(shape) if isinstance(shape, Mapping) else _schema(shape, schemas)
    return {"description": "the answer", "content": {JSON: {"schema": schema}}}


def _schema(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a pydantic type; the models it names go to the common ones."""
    schema = TypeAdapter(shape).json_schema(ref_template=_REFERENCE)
    schemas |= schema.pop("$defs", {})
    return schema
