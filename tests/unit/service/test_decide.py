"""The pure rules of access."""

from __future__ import annotations

import itertools

import pytest

from headrace.service.access import (
    ANONYMOUS,
    RIGHTS,
    Caller,
    Decision,
    Resource,
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
EVERY = list(itertools.product(Resource, Verb))
WITHOUT_A_ROLE = {
    (Resource.SERVER, Verb.READ),
    *((Resource.SIGN_IN, verb) for verb in (Verb.READ, Verb.CREATE, Verb.DELETE)),
}


def caller(role: Role | None = None, *, scopes: frozenset[TokenScope] = frozenset(), user: str = "ada") -> Caller:
    return Caller(user=user, namespaces={"team": role} if role else {}, scopes=scopes, source=Source.TOKEN)


@pytest.mark.parametrize(
    ("role", "kind", "verb", "expected"),
    [
        (Role.VIEWER, Resource.RUN, Verb.READ, ALLOW),
        (Role.VIEWER, Resource.LOG, Verb.READ, ALLOW),
        (Role.VIEWER, Resource.CONTENT, Verb.READ, ALLOW),
        (Role.VIEWER, Resource.RUN, Verb.CREATE, REFUSE),
        (Role.VIEWER, Resource.RUN, Verb.CONTROL, REFUSE),
        (Role.VIEWER, Resource.CACHE, Verb.DELETE, REFUSE),
        (Role.EDITOR, Resource.RUN, Verb.CREATE, ALLOW),
        (Role.EDITOR, Resource.RUN, Verb.CONTROL, ALLOW),
        (Role.EDITOR, Resource.RUN, Verb.DELETE, REFUSE),
        (Role.EDITOR, Resource.PIPELINE, Verb.DELETE, ALLOW),
        (Role.EDITOR, Resource.CACHE, Verb.DELETE, REFUSE),
        (Role.OWNER, Resource.RUN, Verb.DELETE, ALLOW),
        (Role.OWNER, Resource.CACHE, Verb.DELETE, ALLOW),
        (Role.OWNER, Resource.ARTIFACT, Verb.DELETE, REFUSE),
    ],
)
def test_what_a_role_may_do_in_its_namespace(role: Role, kind: Resource, verb: Verb, expected: Decision) -> None:
    assert decide(caller(role), kind, verb, "team") is expected


@pytest.mark.parametrize(("kind", "verb"), EVERY)
def test_a_foreign_namespace_does_not_exist(kind: Resource, verb: Verb) -> None:
    for role in (None, *Role):
        expected = ALLOW if (kind, verb) in WITHOUT_A_ROLE else HIDE
        assert decide(caller(role), kind, verb, "other") is expected


@pytest.mark.parametrize(("kind", "verb"), EVERY)
def test_nobody_may_nothing_and_knows_nothing(kind: Resource, verb: Verb) -> None:
    assert decide(ANONYMOUS, kind, verb, "") is HIDE


def test_a_higher_role_has_every_right_of_a_lower_one() -> None:
    assert RIGHTS[Role.VIEWER] < RIGHTS[Role.EDITOR] < RIGHTS[Role.OWNER]


def test_an_editor_may_delete_a_run_of_their_own_only() -> None:
    for created_by, expected in (("ada", ALLOW), ("grace", REFUSE), ("", REFUSE)):
        assert decide(caller(Role.EDITOR), Resource.RUN, Verb.DELETE, "team", created_by=created_by) is expected
    assert decide(caller(Role.VIEWER), Resource.RUN, Verb.DELETE, "team", created_by="ada") is REFUSE
    nameless = caller(Role.EDITOR, user="")
    assert decide(nameless, Resource.RUN, Verb.DELETE, "team", created_by="") is REFUSE


def test_a_token_for_reading_only_reads() -> None:
    reader = caller(Role.OWNER, scopes=frozenset({TokenScope.READ}))
    assert decide(reader, Resource.RUN, Verb.READ, "team") is ALLOW
    for kind, verb in RIGHTS[Role.OWNER]:
        assert decide(reader, kind, verb, "team") is (ALLOW if verb is Verb.READ else REFUSE)
    assert decide(reader, Resource.SIGN_IN, Verb.CREATE, "") is REFUSE
    writer = caller(Role.OWNER, scopes=frozenset({TokenScope.WRITE}))
    assert {decide(writer, *right, "team") for right in RIGHTS[Role.OWNER]} == {ALLOW}


def test_the_owner_of_the_data_directory_may_do_everything_that_an_owner_may_everywhere() -> None:
    for kind, verb in RIGHTS[Role.OWNER]:
        for namespace in ("", "team", "other"):
            assert decide(owner(), kind, verb, namespace) is ALLOW
    assert readable(owner(), Resource.RUN) is None


def test_lists_are_narrowed_to_the_namespaces_that_the_caller_may_read() -> None:
    roles = {"a": Role.VIEWER, "b": Role.OWNER}
    two = Caller(user="ada", namespaces=roles, source=Source.TOKEN)
    assert readable(two, Resource.RUN) == {"a", "b"}
    assert allowed_in(two, Resource.CACHE, Verb.DELETE) == {"b"}
    assert readable(caller(None), Resource.RUN) == frozenset()
    assert readable(ANONYMOUS, Resource.RUN) == frozenset()
