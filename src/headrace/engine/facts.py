"""Facts of a run that texts may name, such as `{{$.pipeline_job_name}}`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from headrace.engine import values
from headrace.engine.model import Json, RunState, execution_id
from headrace.engine.plan import Plan
from headrace.spec.placeholders import as_text

_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']+)'|\"([^\"]+)\")\]\}\}")


def resource_name(plan: Plan, state: RunState) -> str:
    """What `{{$.pipeline_job_resource_name}}` stands for."""
    return f"{plan.document.name}-{state.run_id}"


def facts(plan: Plan, state: RunState, path: str, task: str) -> dict[str, str]:
    """Name of a placeholder (see `spec.placeholders.FACTS`) -> what it stands for, for one execution."""
    return {
        **facts_of_run(plan, state),
        "pipeline_task_name": task,
        "pipeline_task_uuid": execution_id(state.run_id, path),
    }


def facts_of_run(plan: Plan, state: RunState) -> dict[str, str]:
    """The facts that are the same for all executions of a run."""
    root = {"pipeline_root": state.pipeline_root} if state.pipeline_root else {}
    return {
        **root,
        "pipeline_job_name": state.display_name,
        "pipeline_job_resource_name": resource_name(plan, state),
        "pipeline_job_uuid": state.run_id,
        "pipeline_job_create_time_utc": _utc(state.created_at),
        "pipeline_job_schedule_time_utc": _utc(state.created_at if state.scheduled_at is None else state.scheduled_at),
    }


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parameters_named(value: Json) -> list[str]:
    """Names of the inputs a constant refers to, at any depth."""
    match value:
        case str():
            return [a or b for a, b in _PARAMETER.findall(value)] if "{{$" in value else []
        case list():
            return [name for item in value for name in parameters_named(item)]
        case dict():
            return [name for one in value.items() for part in one for name in parameters_named(part)]
        case _:
            return []


def filled(value: Json, parameters: dict[str, Json], known: dict[str, str]) -> Json:
    """A constant with its placeholders replaced, at any depth; an unknown placeholder stays as it is.

    A text stays a text. Inside a list or a dict, a text that consists of one input's placeholder becomes that input's
    value, with its type. A value that is filled in is not searched again, so a placeholder in it stays text.
    """
    if isinstance(value, str):
        return _filled_text(value, parameters, known) if "{{$" in value else value
    return filled_whole(value, parameters, known)


def filled_whole(value: Json, parameters: dict[str, Json], known: dict[str, str]) -> Json:
    """Like `filled`, but a text that consists of one input's placeholder becomes that input's value at the top, too."""
    match value:
        case str():
            found = _PARAMETER.fullmatch(value)
            name = (found.group(1) or found.group(2)) if found else None
            return parameters[name] if name in parameters else filled(value, parameters, known)
        case list():
            return [filled_whole(item, parameters, known) for item in value]
        case dict():
            return {
                str(filled(key, parameters, known)): filled_whole(item, parameters, known)
                for key, item in value.items()
            }
        case _:
            return value


def filled_default(default: Json, known: Callable[[], dict[str, str]]) -> Json:
    """The default of an input, with the facts that it names; `known` is asked only where it names any."""
    value = values.whole(default)
    return filled(value, {}, known()) if "{{$" in str(value) else value


_ANY = re.compile(r"\{\{\$\.(?:[a-z_]+|inputs\.parameters\[(?:'[^']+'|\"[^\"]+\")\])\}\}")


def _filled_text(text: str, parameters: dict[str, Json], known: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = _PARAMETER.fullmatch(match.group())
        if found is None:
            return known.get(match.group()[4:-2], match.group())
        name = found.group(1) or found.group(2)
        if name not in parameters:
            return match.group()
        return "" if parameters[name] is None else as_text(parameters[name])

    return _ANY.sub(value, text)
