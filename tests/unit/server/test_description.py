"""The OpenAPI document: generated, current, sound."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from headrace.server.openapi import document, document_bytes
from headrace.server.table import ROUTES
from serving import App

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_document_is_current() -> None:
    assert (ROOT / "openapi.json").read_bytes() == document_bytes(), "run: make api-types"


def test_every_route_is_described_once() -> None:
    described = document()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len(operations) == len(ROUTES)
    assert len({operation["operationId"] for operation in operations}) == len(ROUTES)
    assert all(operation["summary"] and operation["tags"][0] for operation in operations)


def test_every_reference_leads_somewhere() -> None:
    described = document()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                place: object = described
                for name in value["$ref"].removeprefix("#/").split("/"):
                    place = place[name]  # type: ignore[index]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(described)


def test_every_shape_is_a_json_schema() -> None:
    for name, schema in document()["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["title"], name


@pytest.mark.anyio
async def test_answers_are_as_described() -> None:
    described = document()
    app = App()
    for path, media in (
        ("/api/session", "SessionView"),
        ("/api/runs", "RunList"),
        ("/apis/v2beta1/runs", "V2beta1RunList"),
    ):
        told = await app.ask("GET", path)
        schema = {"$ref": f"#/components/schemas/{media}", "components": described["components"]}
        jsonschema.validate(told.json, schema)
    assert json.loads((await app.ask("GET", "/api/openapi.json")).body) == described
