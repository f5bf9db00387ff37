"""Query parameters and limits that several routes of our own API share."""

from __future__ import annotations

from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, Query

#: A body with a pipeline document may be this large: the document is a text within JSON.
MAX_DOCUMENT_BYTES = 40 << 20

#: Of every list; `server.listing` reads them.
PAGING = (
    Query(name="page_size", type="integer", note="0 means 20; at most 200."),
    Query(name="page_token", note="Where the previous page ended."),
    Query(name="sort_by", note='"KEY", "KEY asc" or "KEY desc".'),
    Query(name="filter", note="JSON, as in KFP's API."),
)


def count_asked(call: ApiCall, name: str, *, usual: int, most: int) -> int:
    """How many things the query parameter asks for, at most `most`; `usual` without it. Raises HttpError (400)."""
    text = call.query.get(name, "")
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HttpError(400, "QUERY_INVALID", f"{name} must be a whole number, not {text[:40]!r}.")
    return min(int(text), most)
