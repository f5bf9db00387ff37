"""How KFP's routes differ from ours: their prefix, their errors, their shared query parameters."""

from __future__ import annotations

from functools import partial

from headrace.server.routes import Query, Route

PREFIX = "/apis/v2beta1"

#: A pipeline document may be this large, as JSON in a body.
MAX_DOCUMENT_BYTES = 32 << 20

kfp_route = partial(Route, errors="gateway")

LIST_QUERY = (
    Query(name="page_token", note="Where the previous page ended."),
    Query(name="page_size", type="integer", note="0 means 20; at most 200."),
    Query(name="sort_by", note='"KEY", "KEY asc" or "KEY desc".'),
    Query(name="filter", note="JSON: {predicates: [{operation, key, string_value | …}]}."),
    Query(name="namespace", note="Ignored: this server has one namespace."),
)
