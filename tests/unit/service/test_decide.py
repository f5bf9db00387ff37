"""The pure rules of access."""

from __future__ import annotations

import itertools

import pytest

from headrace.service.access import (
    NOBODY,
    RIGHTS,
    Caller,
    Decision,
    Kind,
    Role,
    Source,
    TokenScope,
    Verb,
    allowed_in,
    decide,
    owner,
    readable,
)

ALLOW, REFUSE, HIDE = Decision.ALLOW, Decision.REFUSE, Decision.HIDE
EVERY = list(itertools.product(Kind, Verb))
WITHOUT_A_ROLE = {(Kind.SERVER, Verb.READ), (Kind.SIGN_IN, Verb.READ), (Kind.SIGN_IN, Verb.CREATE)}


def caller(role: Role | None = None, *, scopes: frozenset[TokenScope] = frozenset(), user: str = "ada") -> Caller:
    return Caller(user=user, namespaces={"team": role} if role else {}, scopes=scopes, source=Source.TOKEN)


@pytest.mark.parametrize(
    ("role", "kind", "verb", "expected"),
    [
        (Role.VIEWER, Kind.RUN, Verb.READ, ALLOW),
        (Role.VIEWER, Kind.LOG, Verb.READ, ALLOW),
        (Role.VIEWER, Kind.CONTENT, Verb.READ, ALLOW),
        (Role.VIEWER, Kind.RUN, Verb.CREATE, REFUSE),
        (Role.VIEWER, Kind.RUN, Verb.CONTROL, REFUSE),
        (Role.VIEWER, Kind.CACHE, Verb.DELETE, REFUSE),
        (Role.EDITOR, Kind.RUN, Verb.CREATE, ALLOW),
        (Role.EDITOR, Kind.RUN, Verb.CONTROL, ALLOW),
        (Role.EDITOR, Kind.RUN, Verb.DELETE, REFUSE),
        (Role.EDITOR, Kind.PIPELINE, Verb.DELETE, ALLOW),
        (Role.EDITOR, Kind.CACHE, Verb.DELETE, REFUSE),
        (Role.OWNER, Kind.RUN, Verb.DELETE, ALLOW),
        (Role.OWNER, Kind.CACHE, Verb.DELETE, ALLOW),
        (Role.OWNER, Kind.ARTIFACT, Verb.DELETE, REFUSE),
    ],
)
def test_what_a_role_may_do_in_its_namespace(role: Role, kind: Kind, verb: Verb, expected: Decision) -> None:
    assert decide(caller(role), kind, verb, "team") is expected


@pytest.mark.parametrize(("kind", "verb"), EVERY)
def test_a_foreign_namespace_does_not_exist(kind: Kind, verb: Verb) -> None:
    for role in (None, *Role):
        expected = ALLOW if (kind, verb) in WITHOUT_A_ROLE else HIDE
        assert decide(caller(role), kind, verb, "other") is expected


@pytest.mark.parametrize(("kind", "verb"), EVERY)
def test_nobody_may_nothing_and_knows_nothing(kind: Kind, verb: Verb) -> None:
    assert decide(NOBODY, kind, verb, "") is HIDE


def test_a_higher_role_has_every_right_of_a_lower_one() -> None:
    assert RIGHTS[Role.VIEWER] < RIGHTS[Role.EDITOR] < RIGHTS[Role.OWNER]


def test_an_editor_may_delete_a_run_of_their_own_only() -> None:
    for created_by, expected in (("ada", ALLOW), ("grace", REFUSE), ("", REFUSE)):
        assert decide(caller(Role.EDITOR), Kind.RUN, Verb.DELETE, "team", created_by=created_by) is expected
    assert decide(caller(Role.VIEWER), Kind.RUN, Verb.DELETE, "team", created_by="ada") is REFUSE
    nameless = caller(Role.EDITOR, user="")
    assert decide(nameless, Kind.RUN, Verb.DELETE, "team", created_by="") is REFUSE


def test_a_token_for_reading_only_reads() -> None:
    reader = caller(Role.OWNER, scopes=frozenset({TokenScope.READ}))
    assert decide(reader, Kind.RUN, Verb.READ, "team") is ALLOW
    for kind, verb in RIGHTS[Role.OWNER]:
        assert decide(reader, kind, verb, "team") is (ALLOW if verb is Verb.READ else REFUSE)
    assert decide(reader, Kind.SIGN_IN, Verb.CREATE, "") is REFUSE
    writer = caller(Role.OWNER, scopes=frozenset({TokenScope.WRITE}))
    assert {decide(writer, *right, "team") for right in RIGHTS[Role.OWNER]} == {ALLOW}


def test_the_owner_of_the_data_directory_may_do_everything_that_an_owner_may_everywhere() -> None:
    for kind, verb in RIGHTS[Role.OWNER]:
        for namespace in ("", "team", "other"):
            assert decide(owner(), kind, verb, namespace) is ALLOW
    assert readable(owner(), Kind.RUN) is None


def test_lists_are_narrowed_to_the_namespaces_that_the_caller_may_read() -> None:
    roles = {"a": Role.VIEWER, "b": Role.OWNER}
    two = Caller(user="ada", namespaces=roles, source=Source.TOKEN)
    assert readable(two, Kind.RUN) == {"a", "b"}
    assert allowed_in(two, Kind.CACHE, Verb.DELETE) == {"b"}
    assert readable(caller(None), Kind.RUN) == frozenset()
    assert readable(NOBODY, Kind.RUN) == frozenset()
