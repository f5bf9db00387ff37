"""Whatever is asked, the server answers, and never with a fault of its own."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.server.table import ROUTES
from serving import App

SEGMENTS = st.text(max_size=12) | st.sampled_from(
    [
        "..",
        ".",
        "%",
        "%2f..%2f",
        "\0",
        "a:archive",
        ":archive",
        "{run_id}",
        "x" * 5000,
        "'; --",
        "\u202e",
        "../../etc/passwd",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "display_name",
                    "displayName",
                    "pipeline_spec",
                    "runtime_config",
                    "tags",
                    "document",
                    "parameters",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            "page_size",
            "page_token",
            "sort_by",
            "filter",
            "state",
            "search",
            "attempt",
            "offset",
            "limit",
            "member",
            "code",
            "name",
            "tags",
            "x",
        ]
    ),
    st.text(max_size=12),
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_request_is_answered(data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(ROUTES))
    path = re.sub(r"{\w+}", lambda _: quote(data.draw(SEGMENTS), safe=""), route.path)
    query = data.draw(QUERIES)
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    body = data.draw(st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()))
    kind = data.draw(st.sampled_from(["application/json", "multipart/form-data; boundary=x", "text/plain"]))
    method = data.draw(st.sampled_from([route.method, "GET", "POST", "PATCH", "DELETE", "HEAD"]))

    async def ask() -> None:
        told = await App().ask(method, f"{path}?{text}", headers={"content-type": kind}, body=body)
        assert told.status < 500 or told.status == 501, told
        if told.status >= 400 and told.headers["content-type"] == "application/json":
            assert json.loads(told.body)

    asyncio.run(ask())
