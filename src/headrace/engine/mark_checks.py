"""Checks of marks: whether a user can decide the outcome of a task now, and whether the outputs fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headrace.engine import values
from headrace.engine.arguments import Faults
from headrace.engine.model import Artifact, Bundle, Execution, Json, Kind, Mark, Reason, RunState, State
from headrace.engine.plan import Lookup, Plan, TaskPlan, artifact_type, node_path
from headrace.spec.document import ArtifactDefinition, Dag, type_word

_TASKS = (Kind.TASK, Kind.IMPORTER)
_ANY = "system.Artifact"


class OutputFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one output that was given."""

    name: str
    #: MARK_OUTPUT_UNKNOWN, MARK_OUTPUT_MISSING or MARK_OUTPUT_TYPE.
    code: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, got {self.got}."


class InvalidOutputs(Faults[OutputFault]):
    """The outputs do not fit what the component declares; `faults` lists everything that is wrong."""

    code = "INVALID_OUTPUTS"


# --- whether it can be marked -------------------------------------------------------------------


def mark_refused(state: RunState, executions: Lookup, execution: Execution, word: State) -> Reason | None:
    """Why this execution cannot be marked now; None when it can."""
    if state.cancel_requested:
        return _reason("RUN_CANCELING", "The run was cancelled. Retry it, then mark the task.")
    if state.state.final and state.state is not State.FAILED:
        return _reason("RUN_FINAL", f"The run has ended already: it is {state.state}.")
    if execution.kind not in _TASKS or word not in (State.SUCCEEDED, State.SKIPPED):
        return _reason("MARK_GROUP", f"{execution.path or 'The run'} is a group, not a task: mark the tasks in it.")
    if execution.state in (State.SUCCEEDED, word):
        return _reason("MARK_FINAL", f"{execution.path} is {execution.state} already.")
    at: Execution = execution
    while at.parent is not None:
        number, at = at.iteration, executions[at.parent]
        if not at.begun or (number is not None and number >= (at.iteration_count or 0)):
            return _reason(
                "MARK_NOT_REACHED", f"{at.path or 'The run'}, which {execution.path} is in, has not started."
            )
        if at.state is State.SUCCEEDED:
            return _reason("MARK_FINAL", f"{at.path}, which {execution.path} is in, has SUCCEEDED already.")
    return None


def _reason(code: str, message: str) -> Reason:
    return Reason(code=code, message=message)


def mark_reason(mark: Mark) -> Reason:
    """The reason of a marked execution: who decided its outcome, and why."""
    who = f" by {mark.by}" if mark.by else ""
    why = f": {mark.note}" if mark.note else "."
    details = {"by": mark.by, "note": mark.note, "at": mark.at}
    return Reason(code="MARKED", message=f"Marked {mark.state}{who}{why}", details=details)


# --- the outputs --------------------------------------------------------------------------


def check_outputs(
    plan: Plan, path: str, parameters: Mapping[str, Json], artifacts: Mapping[str, Sequence[Artifact]]
) -> Bundle:
    """Outputs of a task as its component declares them; raises InvalidOutputs.

    An output that no other task reads may be left out: its content may be lost with the task.
    """
    task = plan.task_at(path)
    declared = task.component.outputs
    faults = [_unknown(name, task) for name in (*parameters, *artifacts) if not _declares(task, name)]
    found: dict[str, Json] = {}
    made: dict[str, tuple[Artifact, ...]] = {}
    read = _read(plan, path, task)
    for name, definition in declared.parameters.items():
        if name in parameters:
            try:
                found[name] = values.fit_strictly(parameters[name], definition.type)
            except values.Mismatch as mismatch:
                faults.append(_fault(name, "MARK_OUTPUT_TYPE", mismatch.expected, mismatch.got))
        elif name in artifacts:
            faults.append(
                _fault(name, "MARK_OUTPUT_TYPE", f"a parameter ({type_word(definition.type)})", "an artifact")
            )
        elif name in read:
            faults.append(
                _fault(
                    name,
                    "MARK_OUTPUT_MISSING",
                    f"a value ({type_word(definition.type)}): other tasks read it",
                    "nothing",
                )
            )
    for name, artifact in declared.artifacts.items():
        if name in artifacts:
            made[name] = tuple(artifacts[name])
            faults += _misfits(name, artifact, made[name])
        elif name in parameters:
            faults.append(_fault(name, "MARK_OUTPUT_TYPE", "an artifact, by its id", "a parameter"))
        elif name in read:
            faults.append(_fault(name, "MARK_OUTPUT_MISSING", f"{_words(artifact)}: other tasks read it", "nothing"))
    if faults:
        raise InvalidOutputs(f"The outputs do not fit task {task.task.name}:", tuple(faults))
    return Bundle(parameters=found, artifacts=made)


def _declares(task: TaskPlan, name: str) -> bool:
    return name in task.component.outputs.parameters or name in task.component.outputs.artifacts


def _unknown(name: str, task: TaskPlan) -> OutputFault:
    outputs = task.component.outputs
    known = ", ".join((*outputs.parameters, *outputs.artifacts))
    return _fault(name, "MARK_OUTPUT_UNKNOWN", f"one of {known}" if known else "no outputs: it has none", name)


def _misfits(name: str, declared: ArtifactDefinition, given: Sequence[Artifact]) -> list[OutputFault]:
    wanted = artifact_type(declared.schema).schema_title
    if len(given) != 1 and not declared.is_list:
        return [_fault(name, "MARK_OUTPUT_TYPE", "one artifact", f"{len(given)}")]
    return [
        _fault(name, "MARK_OUTPUT_TYPE", _words(declared), one.type.schema_title)
        for one in given
        if wanted not in (_ANY, one.type.schema_title)
    ]


def _words(declared: ArtifactDefinition) -> str:
    title = artifact_type(declared.schema).schema_title
    return f"a list of artifacts ({title})" if declared.is_list else f"an artifact ({title})"


def _fault(name: str, code: str, expected: str, got: str) -> OutputFault:
    return OutputFault(name=name, code=code, expected=expected, got=got)


def _read(plan: Plan, path: str, task: TaskPlan) -> set[str]:
    """Names of those outputs that another task of its DAG reads, or the DAG hands out."""
    above = node_path(path).rpartition("/")[0]
    dag = plan.dag_at(above)
    name = task.task.name
    found = {
        source.task_output.output
        for other in task.dependents
        for sources in (dag.tasks[other].task.inputs.parameters, dag.tasks[other].task.inputs.artifacts)
        for source in sources.values()
        if source.task_output is not None and source.task_output.task == name
    }
    return found | _handed_out(dag.dag, name)


def _handed_out(dag: Dag, name: str) -> set[str]:
    handed = (*dag.outputs.parameters.values(), *dag.outputs.artifacts.values())
    return {selector.output for output in handed for selector in output.selectors if selector.task == name}
