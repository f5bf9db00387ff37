"""Time limits that documents set: of a task, of a run, and of what a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engine.model import Json, State
from headrace.engine.plan import Plan

_DEADLINE = "activeDeadlineSeconds", "active_deadline_seconds"
_TTL = "resourceTtlOnCompletion", "resource_ttl_on_completion"
_TTL_SUCCESS = "resourceTtlOnSuccess", "resource_ttl_on_success"
_TTL_FAILURE = "resourceTtlOnFailure", "resource_ttl_on_failure"


def task_timeout_s(kubernetes: Mapping[str, Json]) -> float | None:
    """Seconds one attempt may run (`activeDeadlineSeconds` of an executor's Kubernetes settings); None: no limit."""
    return _seconds(kubernetes, *_DEADLINE)


def run_timeout_s(plan: Plan) -> float | None:
    """Seconds a run may take from its start (`pipelineConfig.activeDeadlineSeconds`); None: no limit."""
    return _seconds(plan.document.kubernetes.pipeline_config, *_DEADLINE)


def time_to_live_s(plan: Plan, state: State) -> float | None:
    """Seconds for which a run that ended in this state keeps its working files and logs; None: without limit.

    `pipelineConfig.resourceTtlOnSuccess` and `…OnFailure` win over `…OnCompletion`, as in Argo's `ttlStrategy`.
    """
    config = plan.document.kubernetes.pipeline_config
    own = _seconds(config, *(_TTL_SUCCESS if state is State.SUCCEEDED else _TTL_FAILURE))
    return own if own is not None else _seconds(config, *_TTL)


def _seconds(settings: Mapping[str, Json], name: str, other: str) -> float | None:
    """The setting, when it is a positive number or a text of digits; None for anything else, also for 0."""
    value = settings.get(name, settings.get(other))
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        return None
    return float(value)
