"""A draft is the map that plain dicts would give, and its base never changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.maps import Map, MapDraft

keys = st.sampled_from("abcdef")
changes = st.lists(st.tuples(st.sampled_from(["set", "delete", "pop"]), keys, st.integers()), max_size=20)


@given(st.dictionaries(keys, st.integers()), changes)
def test_a_draft_is_what_a_dict_would_be(first: dict[str, int], steps: list[tuple[str, str, int]]) -> None:
    base, wanted = Map(first), dict(first)
    draft = MapDraft(base)
    for step, key, value in steps:
        if step == "set":
            draft[key] = wanted[key] = value
        elif step == "pop":
            draft.pop(key, None)
            wanted.pop(key, None)
        elif key in wanted:
            del draft[key], wanted[key]
        else:
            with pytest.raises(KeyError):
                del draft[key]
        assert len(draft) == len(wanted)
        for one in "abcdef":
            assert (one in draft) == (one in wanted)
            assert draft.get(one) == wanted.get(one)
            assert draft.get(one, 7) == wanted.get(one, 7)
            if one in wanted:
                assert draft[one] == wanted[one]
            else:
                with pytest.raises(KeyError):
                    draft[one]
    assert dict(draft.finish()) == wanted
    assert dict(base) == first


def test_a_draft_without_changes_is_its_base() -> None:
    base = Map({"a": 1})
    assert MapDraft(base).finish() is base
