"""The result of calling a component outside a pipeline."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalTask:
    """A finished run of one component or pipeline, with real outputs. Calling a component outside a pipeline returns
    it.

    Args:
        name: The name of the component or pipeline.
        state: `SUCCEEDED`, `FAILED` or `CANCELED`.
        inputs: The arguments of the call.
        outputs: Outputs by name: parameters as Python values, artifacts as `dsl.Artifact` objects (or lists of
            them) with their content at `.path`.
        run_id: The run's id.
        error: What went wrong. Default: None: the run succeeded.
    """

    name: str
    #: SUCCEEDED, FAILED or CANCELED.
    state: str
    inputs: dict[str, Any]
    #: Parameters as Python values; artifacts as `dsl.Artifact` objects (or lists of them) whose `.path` is there.
    outputs: dict[str, Any]
    run_id: str
    #: What went wrong; None after success.
    error: Exception | None = None

    @property
    def output(self) -> Any:
        """The only output.

        Raises:
            AttributeError: There is no output, or there are several.
        """
        if len(self.outputs) != 1:
            found = ", ".join(sorted(self.outputs)) or "none"
            raise AttributeError(f"{self.name!r} has {len(self.outputs)} outputs ({found}): use .outputs['name'].")
        return next(iter(self.outputs.values()))
