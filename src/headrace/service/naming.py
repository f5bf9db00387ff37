"""Limits of names and tags, as KFP has them."""

from __future__ import annotations

from headrace.service.errors import Invalid

_LONGEST = {
    "experiment": 128,
    "pipeline": 128,
    "pipeline version": 127,
    "run": 1024,
    "recurring run": 1024,
    "namespace": 63,
}
_MOST_TAGS = 20
_LONGEST_TAG = 63


def check_name(noun: str, name: str) -> None:
    """Raises Invalid when there is no name, or too much of it."""
    if not name.strip():
        raise Invalid(f"The {noun} needs a name.", code="NAME_MISSING")
    check_length(noun, name)
    if "\x00" in name:
        raise Invalid(f"The {noun}'s name holds a zero character; leave it out.", code="NAME_INVALID")


def check_length(noun: str, name: str) -> None:
    """Raises Invalid when the name is too long."""
    longest = _LONGEST[noun]
    if len(name) > longest:
        message = f"The {noun}'s name has {len(name)} characters; at most {longest} are allowed."
        raise Invalid(message, code="NAME_TOO_LONG", limit=longest)


def check_tags(tags: dict[str, str]) -> None:
    """At most 20 tags; keys without dots, since `tags.<key>` is how they are filtered by."""
    if len(tags) > _MOST_TAGS:
        raise Invalid(f"There are {len(tags)} tags; at most {_MOST_TAGS} are allowed.", code="TAGS_INVALID")
    for key, value in tags.items():
        if not key or "." in key or len(key) > _LONGEST_TAG or len(value) > _LONGEST_TAG:
            raise Invalid(
                f"The tag {key[:80]!r} is not allowed: a key has 1 to {_LONGEST_TAG} characters and no '.', "
                f"a value at most {_LONGEST_TAG} characters.",
                code="TAGS_INVALID",
            )
