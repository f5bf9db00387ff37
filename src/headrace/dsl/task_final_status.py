"""What an exit task learns about the tasks before it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class PipelineTaskFinalStatus:
    """Annotate a parameter of an exit task with this to be told how the group before it ended."""

    #: SUCCEEDED, FAILED or CANCELLED.
    state: str
    #: The run's resource name.
    pipeline_job_resource_name: str
    #: The task or group this status is about.
    pipeline_task_name: str
    #: A google.rpc code, if it failed.
    error_code: int | None = None
    #: The error text, if it failed.
    error_message: str | None = None
