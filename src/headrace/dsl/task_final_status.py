"""What an exit task learns about the tasks before it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class PipelineTaskFinalStatus:
    """How the tasks of an exit handler ended. Annotate a parameter of the exit task with it; no argument is passed.

    A task with `.ignore_upstream_failure()` may have such a parameter too.

    Args:
        state: `SUCCEEDED`, `FAILED` or `CANCELLED`.
        pipeline_job_resource_name: The name of the run.
        pipeline_task_name: The task or the group that this status is about.
        error_code: A code of google.rpc if it failed. Default: None.
        error_message: What went wrong if it failed. Default: None.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def notify(status: dsl.PipelineTaskFinalStatus):
        ...     if status.state == "FAILED":
        ...         print(status.error_message)
    """

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
