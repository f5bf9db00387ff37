"""Every kind of fault, planted one at a time into a right document, is found and placed."""

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import dsl, kubernetes
from headrace.spec.verify import MAX_FINDINGS, errors, fits, verify


@dsl.component(base_image="python:3.11")
def train(rows: int, name: str = "n", rate: float = 0.1, extra: dict = {}) -> float:
    return 0.0


@dsl.component(base_image="python:3.11")
def load(out: dsl.Output[dsl.Dataset], source: str = "s"):
    pass


@dsl.component(base_image="python:3.11")
def best(scores: list) -> str:
    return "a"


@dsl.component(base_image="python:3.11")
def told(status: dsl.PipelineTaskFinalStatus):
    pass


@dsl.container_component
def show(data: dsl.Input[dsl.Dataset], done: dsl.OutputPath(str), text: str = "t"):
    return dsl.ContainerSpec(
        image="busybox",
        command=["sh", "-c", dsl.ConcatPlaceholder(["x=", text]), data.path],
        args=[dsl.IfPresentPlaceholder("text", [text]), done],
    )


@dsl.pipeline(name="everything")
def everything(rows: int, items: list = [1, 2], secret: str = "s") -> str:
    with dsl.ExitHandler(told()):
        data = load()
        shown = show(data=data.outputs["out"])
        with dsl.ParallelFor(items) as item:
            trained = train(rows=item, name=f"run-{rows}")
            kubernetes.use_secret_as_env(trained, secret, {"a": "B"})
        with dsl.If(rows > 3):
            train(rows=rows).after(shown)
    chosen = best(scores=[0.5])
    return chosen.output


SPEC, PLATFORM = everything.documents()
BODY = SPEC["components"]["comp-exit-handler-1"]["dag"]["tasks"]
LOOP = SPEC["components"]["comp-for-loop-2"]["dag"]["tasks"]


def test_a_right_document_has_no_fault() -> None:
    assert verify(SPEC, PLATFORM) == []
    assert {"load", "show", "for-loop-2", "condition-3"} <= set(BODY)


def found(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> list[tuple[str, str]]:
    spec, platform = copy.deepcopy(SPEC), copy.deepcopy(PLATFORM)
    change(spec, platform)
    return [(finding.code, finding.path) for finding in verify(spec, platform)]


def at(path: str, value: Any, *, remove: bool = False) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    """Sets (or removes) what is at a path, as findings write it with `/` between."""

    def change(spec: dict[str, Any], platform: dict[str, Any]) -> None:
        *way, last = path.split("/")
        part: Any = platform if way and way[0] == "platforms" else spec
        for step in way:
            part = part[int(step)] if isinstance(part, list) else part.setdefault(step, {})
        key = int(last) if isinstance(part, list) else last
        if remove:
            del part[key]
        else:
            part[key] = value

    return change


B = "components/comp-exit-handler-1/dag/tasks"
L = "components/comp-for-loop-2/dag/tasks"
E = "deploymentSpec/executors"
SENTINEL = "\ue0d0" + "7" + "\ue0d1"

PLANTED = [
    (at("pipelineInfo/name", "Not A Name"), "NAME_INVALID", "pipelineInfo.name"),
    (at("schemaVersion", "3.0.0"), "SCHEMA_VERSION_UNSUPPORTED", "schemaVersion"),
    (at(f"{B}/load/componentRef/name", "comp-lost"), "COMPONENT_UNKNOWN", "exit-handler-1.dag.tasks.load.componentRef"),
    (at("components/comp-load/executorLabel", "exec-lost"), "EXECUTOR_UNKNOWN", "components.comp-load.executorLabel"),
    (at(f"{B}/show/dependentTasks", ["lost"]), "TASK_UNKNOWN", "tasks.show.dependentTasks"),
    (at(f"{B}/show/inputs/artifacts/data/taskOutputArtifact/producerTask", "lost"), "TASK_UNKNOWN", "tasks.show.inputs.artifacts.data"),
    (at(f"{B}/show/inputs/artifacts/data/taskOutputArtifact/outputArtifactKey", "lost"), "OUTPUT_UNKNOWN", "tasks.show.inputs.artifacts.data"),
    (at(f"{B}/show/inputs/artifacts", {}), "INPUT_MISSING", "tasks.show.inputs"),
    (at(f"{L}/train/inputs/parameters/rows/componentInputParameter", "lost"), "INPUT_UNKNOWN", "tasks.train.inputs.parameters.rows"),
    (at(f"{L}/train/inputs/parameters/rows", {"runtimeValue": {"constant": "x"}}), "VALUE_TYPE", "parameters.rows.runtimeValue.constant"),
    (at(f"{L}/train/inputs/parameters/rows", {"runtimeValue": {"constant": 1.5}}), "VALUE_TYPE", "parameters.rows.runtimeValue.constant"),
    (at(f"{L}/train/inputs/parameters", {}), "INPUT_MISSING", "tasks.train.inputs"),
    (at(f"{L}/train/inputs/parameters/name/runtimeValue/constant", "{{channel:task=a;name=b;type=String;}}"), "CHANNEL_LEFT_OVER", "parameters.name"),
    (at(f"{L}/train/inputs/parameters/name/runtimeValue/constant", SENTINEL), "CHANNEL_LEFT_OVER", "parameters.name"),
    (at(f"{L}/train/inputs/parameters/name/runtimeValue/constant", "{{$.inputs.parameters['lost']}}"), "PLACEHOLDER_UNKNOWN", "parameters.name"),
    (at(f"{B}/for-loop-2/parameterIterator/items/inputParameter", "lost"), "INPUT_UNKNOWN", "parameterIterator.items"),
    (at(f"{B}/for-loop-2/parameterIterator/itemInput", "lost"), "INPUT_UNKNOWN", "parameterIterator.itemInput"),
    (at(f"{B}/for-loop-2/parameterIterator/items", {"raw": "[1"}), "ITEMS_INVALID", "parameterIterator.items.raw"),
    (at(f"{B}/for-loop-2/parameterIterator/items", {"raw": "{}"}), "ITEMS_INVALID", "parameterIterator.items.raw"),
    (at(f"{B}/condition-3/triggerPolicy/condition", "int(inputs.parameter_values['lost']) > 3"), "INPUT_UNKNOWN", "triggerPolicy.condition"),
    (at(f"{B}/condition-3/triggerPolicy/condition", "x == 'it's'"), "CONDITION_INVALID", "triggerPolicy.condition"),
    (at(f"{B}/condition-3/triggerPolicy/condition", "(1 > 2"), "CONDITION_INVALID", "triggerPolicy.condition"),
    (at(f"{B}/condition-3/triggerPolicy/condition", "(1 > 2]"), "CONDITION_INVALID", "triggerPolicy.condition"),
    (at(f"{B}/condition-3/triggerPolicy/condition", "1 > 2)"), "CONDITION_INVALID", "triggerPolicy.condition"),
    (at(f"{B}/load/dependentTasks", ["show"]), "TASK_CYCLE", "exit-handler-1.dag.tasks"),
    (at(f"{B}/load/dependentTasks", ["load"]), "TASK_CYCLE", "exit-handler-1.dag.tasks"),
    (at(f"{B}/load/inputs/artifacts/x/taskOutputArtifact", {"producerTask": "show", "outputArtifactKey": "o"}), "TASK_CYCLE", "exit-handler-1.dag.tasks"),
    (at(f"{B}/load/inputs/parameters/x/taskOutputParameter", {"producerTask": "show", "outputParameterKey": "o"}), "TASK_CYCLE", "exit-handler-1.dag.tasks"),
    (at(f"{B}/load/inputs/parameters/x/taskFinalStatus", {"producerTask": "show"}), "TASK_CYCLE", "exit-handler-1.dag.tasks"),
    (at(f"{B}/load/componentRef/name", "comp-exit-handler-1"), "COMPONENT_CYCLE", "components.comp-exit-handler-1"),
    (at("root/dag/outputs/parameters/Output/valueFromParameter/producerSubtask", "lost"), "TASK_UNKNOWN", "root.dag.outputs"),
    (at("root/dag/outputs/parameters/Output/valueFromParameter/outputParameterKey", "lost"), "OUTPUT_UNKNOWN", "root.dag.outputs"),
    (at("root/dag/outputs", {}), "OUTPUT_MISSING", "root.dag.outputs"),
    (at("root/outputDefinitions", {}), "OUTPUT_UNDECLARED", "root.dag.outputs"),
    (at("root/outputDefinitions/parameters/Output/parameterType", "BOOLEAN"), "TYPE_MISMATCH", "root.dag.outputs"),
    (at("root/inputDefinitions/parameters/secret/defaultValue", 5), "VALUE_TYPE", "parameters.secret.defaultValue"),
    (at("root/inputDefinitions/parameters/secret/literals", ["a", "b"]), "VALUE_NOT_ALLOWED", "parameters.secret.defaultValue"),
    (at("root/inputDefinitions/parameters/rows/parameterType", "LIST"), "TYPE_MISMATCH", "inputs.parameters.pipelinechannel--rows"),
    (at("root/dag/tasks/told/inputs/parameters/status/taskFinalStatus/producerTask", "lost"), "TASK_UNKNOWN", "taskFinalStatus"),
    (at("components/comp-show/inputDefinitions/artifacts/data/artifactType/schemaTitle", "system.Model"), "TYPE_MISMATCH", "inputs.artifacts.data"),
    (at("components/comp-show/inputDefinitions/artifacts/data/isArtifactList", True), "TYPE_MISMATCH", "inputs.artifacts.data"),
    (at(f"{E}/exec-show/container/image", ""), "IMAGE_MISSING", "exec-show.container.image"),
    (at(f"{E}/exec-show/container/command/3", "{{$.inputs.artifacts['lost'].path}}"), "PLACEHOLDER_UNKNOWN", "exec-show.container.command[3]"),
    (at(f"{E}/exec-show/container/command/2", '{"Concat": ["{{$.inputs.parameters[\'lost\']}}"]}'), "PLACEHOLDER_UNKNOWN", "exec-show.container.command[2]"),
    (at(f"{E}/exec-show/container/args/0", '{"IfPresent": {"InputName": "lost", "Then": "a"}}'), "PLACEHOLDER_UNKNOWN", "exec-show.container.args[0]"),
    (at(f"{E}/exec-show/container/args/1", "{{$.outputs.parameters['lost'].output_file}}"), "PLACEHOLDER_UNKNOWN", "exec-show.container.args[1]"),
    (at(f"{E}/exec-show/container/args/1", "a{{channel:task=a;name=b;type=String;}}"), "CHANNEL_LEFT_OVER", "exec-show.container.args[1]"),
    (at(f"{E}/exec-show/container/env", [{"name": "A", "value": SENTINEL}]), "CHANNEL_LEFT_OVER", "exec-show.container.env.A"),
    (at(f"{E}/exec-load", {}), "SPEC_MISSING", "deploymentSpec.executors.exec-load"),
    (at("platforms/kubernetes/deploymentSpec/executors/exec-lost", {}), "EXECUTOR_UNKNOWN", "platforms.kubernetes.deploymentSpec.executors.exec-lost"),
    (at("platforms/kubernetes/deploymentSpec/executors/exec-train/secretAsEnv/0/secretNameParameter/componentInputParameter", "lost"), "INPUT_UNKNOWN", "secretAsEnv[0].secretNameParameter"),
    (at("platforms/kubernetes/deploymentSpec/executors/exec-train/secretAsEnv/0/secretNameParameter", {"taskOutputParameter": {"producerTask": "lost", "outputParameterKey": "a"}}), "TASK_UNKNOWN", "secretAsEnv[0].secretNameParameter"),
    (at("root", None, remove=True), "SPEC_NOT_A_PIPELINE", "root"),
    (at(f"{B}/a\x01b", {"componentRef": {"name": "comp-told"}}), "NAME_INVALID", "exit-handler-1.dag.tasks.a"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "place"), PLANTED, ids=[f"{code}-{place}" for _, code, place in PLANTED])
def test_planted_faults_are_found(change: Any, code: str, place: str) -> None:
    faults = found(change)
    assert any(one == code and place in path for one, path in faults), faults


def test_undeclared_inputs_are_told_of_but_run() -> None:
    spec = copy.deepcopy(SPEC)
    spec["components"]["comp-for-loop-2"]["dag"]["tasks"]["train"]["inputs"]["parameters"]["more"] = {
        "runtimeValue": {"constant": "x"}
    }
    (finding,) = verify(spec, PLATFORM)
    assert (finding.code, finding.severity) == ("INPUT_UNDECLARED", "warning")
    assert errors([finding]) == []


def test_a_double_for_an_integer_is_a_warning() -> None:
    spec = copy.deepcopy(SPEC)
    at("root/inputDefinitions/parameters/rows/parameterType", "NUMBER_DOUBLE")(spec, {})
    findings = verify(spec, PLATFORM)
    assert {(finding.code, finding.severity) for finding in findings} == {("TYPE_MISMATCH", "warning")}
    assert errors(findings) == []


@pytest.mark.parametrize(
    "more",
    [
        """ && 'inputs.parameter_values["lost"]' != 'a'""",
        """ && "inputs.artifacts['lost']" != 'a'""",
        r""" && 'it\'s (' != ')]'""",
    ],
)
def test_a_text_inside_a_condition_is_not_read(more: str) -> None:
    spec = copy.deepcopy(SPEC)
    text = BODY["condition-3"]["triggerPolicy"]["condition"] + more
    at(f"{B}/condition-3/triggerPolicy/condition", text)(spec, {})
    assert verify(spec, PLATFORM) == []


def test_messages_name_what_there_is() -> None:
    spec = copy.deepcopy(SPEC)
    at(f"{B}/show/dependentTasks", ["lod"])(spec, {})
    (finding,) = verify(spec, PLATFORM)
    assert "'lod'" in finding.message
    assert "'load'" in finding.message
    assert str(finding).startswith("components.comp-exit-handler-1.dag.tasks.show.dependentTasks: ")


def test_a_pipeline_that_unfolds_without_end_is_refused() -> None:
    """Thirty components, each used twice by the one before: a billion tasks in a page of text."""
    components: dict[str, Any] = {
        f"comp-{n}": {"dag": {"tasks": {key: {"componentRef": {"name": f"comp-{n + 1}"}} for key in ("a", "b")}}}
        for n in range(30)
    }
    components["comp-30"] = {"executorLabel": "e"}
    spec = {
        **SPEC,
        "components": components,
        "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "comp-0"}}}}},
        "deploymentSpec": {"executors": {"e": {"container": {"image": "i"}}}},
    }
    assert [finding.code for finding in verify(spec)] == ["TOO_MANY_TASKS"]


def test_groups_nested_too_deep_are_refused() -> None:
    components: dict[str, Any] = {
        f"comp-{n}": {"dag": {"tasks": {"a": {"componentRef": {"name": f"comp-{n + 1}"}}}}} for n in range(5000)
    }
    components["comp-5000"] = {"executorLabel": "e"}
    spec = {**SPEC, "components": components, "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "comp-0"}}}}},
            "deploymentSpec": {"executors": {"e": {"container": {"image": "i"}}}}}  # fmt: skip
    assert [finding.code for finding in verify(spec)] == ["NESTED_TOO_DEEP"]


def test_what_never_came_through_the_reader_is_told_all_the_same() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    for place in ("rows", "name"):
        spec = copy.deepcopy(SPEC)
        at(f"{L}/train/inputs/parameters/{place}", {"runtimeValue": {"constant": deep}})(spec, {})
        assert errors(verify(spec, PLATFORM))
    assert errors(verify({**SPEC, "pipelineInfo": deep}, PLATFORM))
    assert errors(verify({**SPEC, "root": {"dag": {"tasks": {"a": deep}}}}, PLATFORM))


def wide(count: int, **more: Any) -> dict[str, Any]:
    tasks = {
        f"t{n}": {"componentRef": {"name": "comp-train"}, "inputs": {"parameters": {"rows": {"runtimeValue": {"constant": 1.0}}}}, **more}
        for n in range(count)
    }  # fmt: skip
    return {**SPEC, "root": {"dag": {"tasks": tasks}}}


def test_no_more_is_told_than_helps() -> None:
    assert len(verify(wide(1000, dependentTasks=["lost"]))) == MAX_FINDINGS


def test_the_time_grows_with_the_document_only() -> None:
    def seconds(count: int) -> float:
        spec = wide(count)
        began = time.process_time()
        assert verify(spec) == []
        return time.process_time() - began

    small, large = min(seconds(500) for _ in range(3)), seconds(10_000)
    assert large < 60 * small + 0.2
    assert large < 3


@given(st.data())
@settings(deadline=None)
def test_any_damage_is_told_and_never_raised(data: st.DataObject) -> None:
    spec, platform = copy.deepcopy(SPEC), copy.deepcopy(PLATFORM)
    part: Any = data.draw(st.sampled_from([spec, spec, spec, platform]))
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(part[key], dict | list) and part[key] and data.draw(st.integers(0, 3)):
            part = part[key]
            continue
        part[key] = data.draw(
            st.one_of(
                st.none(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just([[]]), st.booleans()
            )
        )
        break
    for finding in verify(spec, platform):
        assert finding.code == finding.code.upper()
        assert finding.message


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("a", {"STRING"}),
        (True, {"BOOLEAN"}),
        (1, {"NUMBER_INTEGER", "NUMBER_DOUBLE"}),
        (1.0, {"NUMBER_INTEGER", "NUMBER_DOUBLE"}),
        (1.5, {"NUMBER_DOUBLE"}),
        ([], {"LIST"}),
        ({}, {"STRUCT", "TASK_FINAL_STATUS", "TASK_CONFIG"}),
        (None, set()),
    ],
)
def test_values_and_types(value: Any, kinds: set[str]) -> None:
    every = (
        "STRING",
        "BOOLEAN",
        "NUMBER_INTEGER",
        "NUMBER_DOUBLE",
        "LIST",
        "STRUCT",
        "TASK_FINAL_STATUS",
        "TASK_CONFIG",
    )
    assert {kind for kind in every if fits(value, kind)} == kinds
