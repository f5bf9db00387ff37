"""After the user's code: read, check and store what an attempt made, and say how it ended.

Called in the server's process for an attempt on this machine or in a container, and by the porter beside a pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.inputs import check_inputs, check_workspace
from headrace.attempt.layout import Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.outputs import OutputReader
from headrace.attempt.refusal import Refusal
from headrace.attempt.result import AttemptResult, ResultSucceeded, failed, write_result

#: Bytes of JSON that an output parameter may have, where no setting says otherwise.
MAX_PARAMETER_BYTES = 1 << 20


def ship(
    order: LaunchOrder,
    layout: Layout,
    artifacts: ArtifactAccess,
    *,
    outputs_seen_at: str = "",
    inputs_seen_at: Mapping[str, str] | None = None,
    max_parameter_bytes: int = MAX_PARAMETER_BYTES,
    record: Path | None = None,
) -> AttemptResult:
    """The result of an attempt whose command has ended with status 0. Blocks.

    `layout` is the attempt's on this machine. `outputs_seen_at` is its directory of outputs as the component saw it
    (a container), `inputs_seen_at` the paths of its inputs by URI, as `Fetched.seen` has them. Where `record` is
    given, the result is written there after everything that it speaks of was stored. Calling it again after a crash
    gives the same result.
    """
    try:
        check_inputs(order, artifacts)
        check_workspace(order, layout)
        result: AttemptResult = _outputs(order, layout, artifacts, outputs_seen_at, inputs_seen_at, max_parameter_bytes)
    except Refusal as refusal:
        result = failed(refusal)
    if record is not None:
        write_result(record, result)
    return result


def _outputs(
    order: LaunchOrder,
    layout: Layout,
    artifacts: ArtifactAccess,
    outputs_seen_at: str,
    inputs_seen_at: Mapping[str, str] | None,
    max_parameter_bytes: int,
) -> ResultSucceeded:
    reader = OutputReader(
        order=order,
        layout=layout,
        artifacts=artifacts,
        max_parameter_bytes=max_parameter_bytes,
        seen_as=outputs_seen_at or str(layout.outputs),
        inputs=dict(inputs_seen_at or {}),
    )
    return reader.read()
