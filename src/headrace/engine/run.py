"""How a run's state is made, stored and restored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from rpds import HashTrieMap

from headrace.engine.arguments import check_arguments
from headrace.engine.facts import facts_of_run
from headrace.engine.index import rebuild
from headrace.engine.maps import Map
from headrace.engine.model import Bundle, Execution, Index, Json, Kind, Reusable, RunState, State
from headrace.engine.plan import Plan

#: Executions that are put into a map in one call.
_PIECE = 10_000


def new_run(
    plan: Plan,
    *,
    run_id: str,
    display_name: str,
    arguments: Mapping[str, Json],
    at: float,
    scheduled_at: float | None = None,
    caching: bool | None = None,
    pipeline_root: str = "",
    namespace: str = "",
    service_account: str = "",
    created_by: str = "",
    artifacts_may_be_missing: bool = False,
) -> RunState:
    """A run that waits for RunStarted; raises InvalidArguments. `artifacts_may_be_missing`: see `check_arguments`."""
    state = RunState(
        run_id=run_id,
        state=State.PENDING,
        inputs=Bundle(),
        executions=Map(),
        created_at=at,
        display_name=display_name,
        scheduled_at=scheduled_at,
        caching=caching,
        pipeline_root=pipeline_root,
        namespace=namespace,
        service_account=service_account,
        created_by=created_by,
    )
    given = check_arguments(
        plan, arguments, lambda: facts_of_run(plan, state), artifacts_may_be_missing=artifacts_may_be_missing
    )
    inputs = Bundle(parameters=given)
    root = Execution(
        path="", task="", kind=Kind.ROOT, state=State.PENDING, inputs=inputs, created_at=at
    )  # fmt: skip
    return msgspec.structs.replace(state, inputs=inputs, executions=Map({"": root}))


def header(state: RunState) -> RunState:
    """The state without its executions: what is stored beside them."""
    return msgspec.structs.replace(state, executions=Map(), reuse={}, index=Index())


def encode_header(state: RunState) -> bytes:
    """The header as JSON."""
    return _ENCODER.encode(header(state))


def decode_header(text: bytes | str) -> RunState:
    """The header from JSON; `restore` makes it a state again."""
    return _DECODER.decode(text)


def restore(
    plan: Plan, header: RunState, executions: Iterable[Execution], *, reuse: Mapping[str, Reusable] | None = None
) -> RunState:
    """The state from what was stored of it; `reuse` is what came with RunStarted, if the header has an `origin`."""
    found = {execution.path: execution for execution in executions}
    return msgspec.structs.replace(
        header, executions=_map_of(found), reuse=dict(reuse or {}), index=rebuild(plan, found)
    )  # fmt: skip


def _map_of(found: dict[str, Execution]) -> Map[str, Execution]:
    """The executions as an immutable map, in pieces: one call for 100,000 would stop all other threads for 130 ms."""
    made, paths = Map[str, Execution](), list(found)
    for first in range(0, len(paths), _PIECE):
        made = made.update({path: found[path] for path in paths[first : first + _PIECE]})
    return made


def _encode_map(value: object) -> object:
    if isinstance(value, HashTrieMap):
        return dict(value)
    raise NotImplementedError(f"cannot encode {type(value).__name__}")


def _decode_map(kind: type, value: object) -> object:
    if isinstance(value, dict):
        return Map(value)
    raise NotImplementedError(f"cannot decode {kind}")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_map)
_DECODER = msgspec.json.Decoder(RunState, dec_hook=_decode_map)
