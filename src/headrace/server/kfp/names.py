"""Names and tags, within KFP's limits."""

from __future__ import annotations

from typing import Any

from headrace.server.errors import HttpError


def checked_name(name: str, noun: str, limit: int) -> str:
    """The name, if it is there and not too long. Raises HttpError (400)."""
    if not name.strip():
        raise HttpError(400, "NAME_MISSING", f"Give the {noun} a name (display_name).")
    if len(name) > limit:
        raise HttpError(
            400, "NAME_TOO_LONG", f"The name of a {noun} may have {limit} characters; this has {len(name)}."
        )
    return name


def checked_tags(tags: Any) -> dict[str, str]:
    """Tags: at most 20, short, and no dot in a key. Raises HttpError (400)."""
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise HttpError(400, "TAGS_INVALID", "Tags must be a JSON object of texts.")
    if len(tags) > 20:
        raise HttpError(400, "TAGS_INVALID", f"There may be 20 tags; these are {len(tags)}.")
    for key, value in tags.items():
        if not key or "." in key or len(key) > 63 or len(value) > 63:
            raise HttpError(
                400, "TAGS_INVALID", f"Tag {key[:80]!r}: keys need 1 to 63 characters without a dot, values at most 63."
            )
    return tags
