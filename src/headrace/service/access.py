"""Who may do what: callers, roles, and the one function that decides. Pure: nothing here reads or writes.

A caller has a role in each of their namespaces. A role is a set of rights, a right is a verb on a kind of thing.
Today there is one user, the owner of the data directory, who may do everything everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec


class Resource(StrEnum):
    """Kinds of things that can be asked for. Each has rights of its own; what always goes together is one kind."""

    EXPERIMENT = "experiment"
    PIPELINE = "pipeline"  #: with its versions and their documents
    RUN = "run"  #: with its executions, its document and its explanation
    RECURRING_RUN = "recurring run"
    LOG = "log"  #: what the tasks of a run wrote
    ARTIFACT = "artifact"  #: what is known of it
    CONTENT = "content"  #: the bytes of an artifact
    CACHE = "cache"
    SIGN_IN = "sign-in"  #: the caller's own
    SERVER = "server"  #: what the server says of itself


class Verb(StrEnum):
    """What can be done with it."""

    READ = "read"  #: get, list, watch
    CREATE = "create"
    UPDATE = "update"  #: rename, tag, archive and bring back
    CONTROL = "control"  #: terminate, retry, pause, resume, mark
    DELETE = "delete"


#: Where the namespace that decides comes from: the row that the path names, the body of what is to be made, what a list
#: is asked of (the answer is narrowed to the caller's namespaces), or nowhere, because the thing is the server's own.
Scope: TypeAlias = Literal["row", "body", "query", "server"]


class Access(msgspec.Struct, frozen=True, kw_only=False):
    """What a route declares, and what a method of `Session` asks for."""

    kind: Resource
    verb: Verb
    scope: Scope = "row"


class Role(StrEnum):
    """What a caller is in a namespace."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


class TokenScope(StrEnum):
    """What a token is good for. A caller without any has all the rights of their roles."""

    READ = "read"
    WRITE = "write"


class Source(StrEnum):
    """How the caller came in."""

    PROCESS = "process"  #: the process that opened the data directory: the command line, a local run
    TOKEN = "token"  # noqa: S105
    SESSION = "session"  #: a browser that signed in
    LINK = "link"  #: a signed link to the content of one artifact
    UNASKED = "unasked"  #: the server was started without authentication
    ANONYMOUS = "anonymous"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    user: str
    groups: frozenset[str] = frozenset()
    #: What the token they came with is good for; empty: everything that their roles allow.
    scopes: frozenset[TokenScope] = frozenset()
    #: Namespace -> role; None: owner of every namespace.
    namespaces: Mapping[str, Role] | None = msgspec.field(default_factory=dict)
    source: Source

    def role_in(self, namespace: str) -> Role | None:
        """The caller's role there; None where they have none."""
        return Role.OWNER if self.namespaces is None else self.namespaces.get(namespace)


#: A request that did not show who it is from.
ANONYMOUS = Caller(user="", source=Source.ANONYMOUS)

#: The only user there is today.
LOCAL_USER = "local"


def owner(source: Source = Source.PROCESS) -> Caller:
    """The owner of the data directory."""
    return Caller(user=LOCAL_USER, namespaces=None, source=source)


class Decision(StrEnum):
    """What `decide` answers."""

    ALLOW = "allow"
    #: The caller may read the thing, but not do this.
    REFUSE = "refuse"
    #: The caller may not even know that it is there: the answer is the one for what does not exist.
    HIDE = "hide"


#: What is the server's own is in no namespace, and what needs no role is in `_ANYBODY`.
_IN_NAMESPACES = frozenset(Resource) - {Resource.SIGN_IN, Resource.SERVER}
_VIEWER = frozenset((kind, Verb.READ) for kind in _IN_NAMESPACES)
_EDITOR = _VIEWER | {
    (kind, verb)
    for kind in (Resource.EXPERIMENT, Resource.PIPELINE, Resource.RUN, Resource.RECURRING_RUN)
    for verb in (Verb.CREATE, Verb.UPDATE, Verb.CONTROL, Verb.DELETE)
    if (kind, verb) != (Resource.RUN, Verb.DELETE)
}
_OWNER = _EDITOR | {(Resource.RUN, Verb.DELETE), (Resource.CACHE, Verb.DELETE)}

#: What each role may do in its namespace.
RIGHTS: Mapping[Role, frozenset[tuple[Resource, Verb]]] = {
    Role.VIEWER: _VIEWER,
    Role.EDITOR: _EDITOR,
    Role.OWNER: _OWNER,
}
#: What a role may do, beyond that, to things that the caller has made.
RIGHTS_TO_OWN: Mapping[Role, frozenset[tuple[Resource, Verb]]] = {Role.EDITOR: frozenset({(Resource.RUN, Verb.DELETE)})}

#: What needs no role: who has shown who they are may do it.
_ANYBODY = frozenset(
    {
        (Resource.SERVER, Verb.READ),
        (Resource.SIGN_IN, Verb.READ),
        (Resource.SIGN_IN, Verb.CREATE),
        (Resource.SIGN_IN, Verb.DELETE),
    }
)


def decide(caller: Caller, kind: Resource, verb: Verb, namespace: str, *, created_by: str = "") -> Decision:
    """Whether the caller may do this to a thing of this kind in this namespace, which `created_by` has made."""
    if caller.source is Source.ANONYMOUS:
        return Decision.HIDE
    if (kind, verb) in _ANYBODY:
        return Decision.ALLOW if _in_scope(caller, verb) else Decision.REFUSE
    role = caller.role_in(namespace)
    if role is None or (kind, Verb.READ) not in RIGHTS[role] or not _in_scope(caller, Verb.READ):
        return Decision.HIDE
    own = created_by != "" and created_by == caller.user
    rights = RIGHTS[role] | (RIGHTS_TO_OWN.get(role, frozenset()) if own else frozenset())
    return Decision.ALLOW if (kind, verb) in rights and _in_scope(caller, verb) else Decision.REFUSE


def readable(caller: Caller, kind: Resource) -> frozenset[str] | None:
    """The namespaces in which the caller may read things of this kind; None: in all."""
    if caller.namespaces is None and decide(caller, kind, Verb.READ, "") is Decision.ALLOW:
        return None
    return allowed_in(caller, kind, Verb.READ)


def allowed_in(caller: Caller, kind: Resource, verb: Verb) -> frozenset[str]:
    """Of the caller's named namespaces, those in which they may do this."""
    named = caller.namespaces or {}
    return frozenset(one for one in named if decide(caller, kind, verb, one) is Decision.ALLOW)


def _in_scope(caller: Caller, verb: Verb) -> bool:
    if not caller.scopes or TokenScope.WRITE in caller.scopes:
        return True
    return verb is Verb.READ and TokenScope.READ in caller.scopes
