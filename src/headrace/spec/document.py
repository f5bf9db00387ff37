"""The pipeline document as frozen values: KFP's PipelineSpec (IR) and PlatformSpec.

`parse_document` takes plain JSON objects (as YAML or JSON text gives them) and checks
shapes, not references: those are `spec.verify`'s. Field names are accepted in
camelCase, as compilers write them, and in snake_case; enums as names or numbers;
integers also as whole doubles. Unknown fields are passed over: documents of newer
compilers stay readable, and the store keeps the original text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

Json: TypeAlias = Any
T = TypeVar("T")

#: So begin the names of the inputs that a compiler makes, to pass values into groups and to settings.
INJECTED = "pipelinechannel--"
#: Words of `parameterType` by protobuf number.
PARAMETER_TYPES = (
    "PARAMETER_TYPE_ENUM_UNSPECIFIED",
    "NUMBER_DOUBLE",
    "NUMBER_INTEGER",
    "STRING",
    "BOOLEAN",
    "LIST",
    "STRUCT",
    "TASK_FINAL_STATUS",
    "TASK_CONFIG",
)
#: Words of `triggerPolicy.strategy` by protobuf number.
STRATEGIES = (
    "TRIGGER_STRATEGY_UNSPECIFIED",
    "ALL_UPSTREAM_TASKS_SUCCEEDED",
    "ALL_UPSTREAM_TASKS_COMPLETED",
)
#: The deprecated `type` of a parameter definition, by protobuf number.
_PRIMITIVE_TYPES = ("PRIMITIVE_TYPE_UNSPECIFIED", "INT", "DOUBLE", "STRING")
_PRIMITIVE_AS_PARAMETER = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE", "STRING": "STRING"}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")


class SpecError(ValueError):
    """The document cannot be right: where, what and how to fix it."""

    def __init__(self, path: str, message: str, *, code: str = "SPEC_INVALID") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        #: Where in the user's document: `root.dag.tasks.train.inputs.parameters.x`; "" for the whole.
        self.path = path
        self.message = message
        #: Stable UPPER_SNAKE code.
        self.code = code


#: How messages name the types of parameters: as Python does.
TYPE_WORDS = {
    "NUMBER_DOUBLE": "float",
    "NUMBER_INTEGER": "int",
    "STRING": "str",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "dict",
    "TASK_FINAL_STATUS": "PipelineTaskFinalStatus",
    "TASK_CONFIG": "TaskConfig",
}


def type_word(kind: str) -> str:
    """A word of `parameterType` as messages say it: `int` for `NUMBER_INTEGER`."""
    return TYPE_WORDS.get(kind, kind)


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all parts of the document. They have no cycles, so the garbage collector skips them."""


# --- interfaces ------------------------------------------------------------------------------


class ArtifactSchema(Part, frozen=True, kw_only=True):
    """`artifactType`, or an importer's `typeSchema`."""

    schema_title: str = ""
    schema_uri: str = ""
    instance_schema: str = ""
    schema_version: str = ""


class ParameterDefinition(Part, frozen=True, kw_only=True):
    """An input or output parameter of a component."""

    #: A word of `PARAMETER_TYPES`.
    type: str = "STRING"
    #: UNSET if there is none; None is a default value too.
    default: Json = msgspec.UNSET
    optional: bool = False
    description: str = ""
    #: Allowed values; empty: any.
    literals: tuple[Json, ...] = ()

    @property
    def required(self) -> bool:
        """True if a value must be given."""
        return not self.optional and self.default is msgspec.UNSET


class ArtifactDefinition(Part, frozen=True, kw_only=True):
    """An input or output artifact of a component."""

    schema: ArtifactSchema = ArtifactSchema()
    is_list: bool = False
    optional: bool = False
    description: str = ""
    metadata: dict[str, Json] = {}


class Interface(Part, frozen=True, kw_only=True):
    """`inputDefinitions` or `outputDefinitions`."""

    parameters: dict[str, ParameterDefinition] = {}
    artifacts: dict[str, ArtifactDefinition] = {}


# --- wiring ----------------------------------------------------------------------------------


class TaskOutput(Part, frozen=True, kw_only=True):
    """An output of a sibling task (or, in DAG outputs, of a subtask)."""

    task: str
    output: str


class ParameterSource(Part, frozen=True, kw_only=True):
    """Where a task's parameter input comes from: exactly one of the first four is set."""

    constant: Json = msgspec.UNSET
    component_input: str | None = None
    task_output: TaskOutput | None = None
    #: The task whose final status is the value.
    final_status_of: str | None = None
    #: `parameterExpressionSelector`: CEL over the value.
    selector: str = ""


class ArtifactSource(Part, frozen=True, kw_only=True):
    """Where a task's artifact input comes from: exactly one is set."""

    component_input: str | None = None
    task_output: TaskOutput | None = None


class TaskInputs(Part, frozen=True, kw_only=True):
    """`inputs` of a task."""

    parameters: dict[str, ParameterSource] = {}
    artifacts: dict[str, ArtifactSource] = {}


class DagOutput(Part, frozen=True, kw_only=True):
    """One output of a DAG: where it comes from."""

    selectors: tuple[TaskOutput, ...]
    #: `valueFromOneof`, or more than one artifact selector: the first producer that succeeded.
    one_of: bool = False


class DagOutputs(Part, frozen=True, kw_only=True):
    """`outputs` of a DAG."""

    parameters: dict[str, DagOutput] = {}
    artifacts: dict[str, DagOutput] = {}


class RetryPolicy(Part, frozen=True, kw_only=True):
    """`retryPolicy`; zeros mean: not given."""

    max_count: int = 0
    backoff_s: float = 0.0
    backoff_factor: float = 0.0
    backoff_max_s: float = 0.0


class Iteration(Part, frozen=True, kw_only=True):
    """`parameterIterator` or `artifactIterator`."""

    #: "parameter" or "artifact".
    over: str
    #: Name of the loop component's input that gets one item.
    item_input: str = ""
    #: JSON text of the items, or
    raw: str | None = None
    #: the task input that holds them.
    input: str | None = None
    #: How many iterations may run at the same time; 0: no limit.
    parallelism: int = 0


class Task(Part, frozen=True, kw_only=True):
    """A component used in a DAG."""

    #: Name in its DAG, the key in `tasks`.
    name: str
    #: `taskInfo.name`.
    display_name: str = ""
    #: Key in `components`.
    component: str
    inputs: TaskInputs = TaskInputs()
    #: `dependentTasks`: siblings this one comes after.
    after: tuple[str, ...] = ()
    cache: bool = False
    cache_key: str = ""
    #: CEL text.
    condition: str = ""
    #: A word of `STRATEGIES`.
    strategy: str = STRATEGIES[0]
    iterator: Iteration | None = None
    retry: RetryPolicy | None = None

    @property
    def runs_after_failure(self) -> bool:
        """True for exit tasks and `ignore_upstream_failure`."""
        return self.strategy == STRATEGIES[2]


class Dag(Part, frozen=True, kw_only=True):
    """Tasks, and which of their outputs are outputs of the DAG."""

    tasks: dict[str, Task] = {}
    outputs: DagOutputs = DagOutputs()


class Component(Part, frozen=True, kw_only=True):
    """Interface and how to run it: a DAG or an executor label."""

    #: Key in `components`; "root" for the root.
    name: str
    inputs: Interface = Interface()
    outputs: Interface = Interface()
    dag: Dag | None = None
    executor: str | None = None
    #: `taskConfigPassthroughs`, as in the document.
    task_config_passthroughs: tuple[dict[str, Json], ...] = ()
    #: `singlePlatformSpecs`, as in the document.
    platform_specs: tuple[dict[str, Json], ...] = ()


# --- executors -------------------------------------------------------------------------------


class Container(Part, frozen=True, kw_only=True):
    """`container`; texts may contain placeholders."""

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    #: In order, as written.
    env: tuple[tuple[str, str], ...] = ()
    #: Keys `cpu_request, cpu_limit, memory_request, memory_limit, accelerator_type, accelerator_count`.
    resources: dict[str, str] = {}


class Importer(Part, frozen=True, kw_only=True):
    """`importer`."""

    #: `artifactUri.constant`, or
    uri: str | None = None
    #: `artifactUri.runtimeParameter`: name of the parameter input that holds it.
    uri_input: str | None = None
    schema: ArtifactSchema = ArtifactSchema()
    metadata: dict[str, Json] = {}
    reimport: bool = False
    download_to_workspace: bool = False


class ExecutorDefinition(Part, frozen=True, kw_only=True):
    """One of `deploymentSpec.executors`: exactly one is set."""

    container: Container | None = None
    importer: Importer | None = None
    #: `resolver` or `customJob`: known to the document's schema; no backend runs them.
    unsupported: str | None = None


class Kubernetes(Part, frozen=True, kw_only=True):
    """`platforms.kubernetes` of the PlatformSpec, contents as in the document."""

    executors: dict[str, dict[str, Json]] = {}
    #: `pipelineConfig`: workspace, time to live, deadline.
    pipeline_config: dict[str, Json] = {}


class SourceLines(Part, frozen=True, kw_only=True):
    """Lines of a component's source that are lines of a file of its author."""

    #: The first of them in the source, from 1, and how many they are.
    row: int
    rows: int
    #: The file, or the cell of a notebook, and its line that is the first of them.
    file: str
    line: int


class Document(Part, frozen=True, kw_only=True):
    """A pipeline document, whole."""

    name: str
    display_name: str = ""
    description: str = ""
    pipeline_root: str = ""
    schema_version: str = ""
    sdk_version: str = ""
    root: Component
    components: dict[str, Component] = {}
    executors: dict[str, ExecutorDefinition] = {}
    kubernetes: Kubernetes = Kubernetes()
    #: Where the sources of executors come from, by label: `platforms.headrace.deploymentSpec.executors` of the
    #: PlatformSpec, which `headrace run` adds to what the compiler has written.
    sources: dict[str, tuple[SourceLines, ...]] = {}


# --- reading ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _DocumentNode:
    """A value of the document, and its path from the root."""

    __slots__ = ("path", "value")

    def __init__(self, value: Json, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, expected: str) -> SpecError:
        return SpecError(self.path, f"expected {expected}, got {_shown(self.value)}.", code="SPEC_TYPE")

    def object(self) -> Mapping[str, Json]:
        if not isinstance(self.value, Mapping):
            raise self.fail("an object")
        return self.value

    def has(self, name: str) -> bool:
        fields = self.object()
        return name in fields or _snake(name) in fields

    def at(self, name: str) -> _DocumentNode:
        """The field `name`, None when absent."""
        fields = self.object()
        key = name if name in fields else _snake(name)
        return _DocumentNode(fields.get(key), f"{self.path}.{key if key in fields else name}".lstrip("."))

    def find(self, *names: str) -> _DocumentNode | None:
        """The last of the fields that exists and is not null."""
        found = None
        for name in names:
            node = self.at(name)
            if node.value is not None:
                found = node
        return found

    def find_below(self, *names: str) -> _DocumentNode | None:
        """The field of a field …; None where one of them is absent or null."""
        node: _DocumentNode = self
        for name in names:
            if node.value is None:
                return None
            node = node.at(name)
        return node if node.value is not None else None

    def entries(self) -> Iterator[tuple[str, _DocumentNode]]:
        """Fields of a map whose keys are the user's own names; nothing when null."""
        if self.value is None:
            return
        for key, value in self.object().items():
            if not isinstance(key, str):
                raise SpecError(self.path, f"keys must be texts, got {_shown(key)}.", code="SPEC_TYPE")
            yield key, _DocumentNode(value, f"{self.path}.{key}")

    def map(self, read: Callable[[_DocumentNode], T]) -> dict[str, T]:
        return {key: read(node) for key, node in self.entries()}

    def items(self) -> Iterator[_DocumentNode]:
        if self.value is None:
            return
        if not isinstance(self.value, list | tuple):
            raise self.fail("a list")
        for i, value in enumerate(self.value):
            yield _DocumentNode(value, f"{self.path}[{i}]")

    def text(self) -> str:
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self.fail("a text")
        return self.value

    def name(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.fail("a name")
        return self.value

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def boolean(self) -> bool:
        if self.value is None:
            return False
        if not isinstance(self.value, bool):
            raise self.fail("true or false")
        return self.value

    def number(self) -> float:
        if self.value is None:
            return 0.0
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.fail("a number")
        return float(self.value)

    def count(self) -> int:
        # Protobuf's JSON writes 64-bit integers as texts.
        value = self.value
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < 0:
            raise self.fail("a whole number, zero or more")
        if abs(value) == float("inf") or int(value) != value:
            raise self.fail("a whole number, zero or more")
        return int(value)

    def seconds(self) -> float:
        if isinstance(self.value, str):
            match = _DURATION.match(self.value)
            if match is None:
                raise self.fail("a duration in seconds such as '30s'")
            return float(match.group(1))
        if isinstance(self.value, Mapping):
            return self.at("seconds").count() + self.at("nanos").count() / 1e9
        return self.number()

    def word(self, words: tuple[str, ...]) -> str:
        """An enum: its name or its number."""
        if self.value is None:
            return words[0]
        if isinstance(self.value, str) and self.value in words:
            return self.value
        if isinstance(self.value, int | float) and not isinstance(self.value, bool) and self.value in range(len(words)):
            return words[int(self.value)]
        raise self.fail("one of " + ", ".join(words[1:]))

    def plain(self) -> dict[str, Json]:
        """An object kept as it is; empty when null."""
        return {} if self.value is None else dict(self.object())


def parse_document(pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None = None) -> Document:
    """Read a pipeline document; raises SpecError for the first fault."""
    spec = _DocumentNode(pipeline_spec, "")
    if not isinstance(pipeline_spec, Mapping):
        raise spec.fail("a pipeline document: an object with `pipelineInfo` and `root`")
    info = spec.at("pipelineInfo")
    if not isinstance(info.value, Mapping):
        raise SpecError(
            "pipelineInfo", "is missing: this is not a pipeline document (KFP IR YAML).", code="SPEC_NOT_A_PIPELINE"
        )
    if not isinstance(spec.at("root").value, Mapping):
        raise SpecError("root", "is missing: the pipeline has no root component.", code="SPEC_NOT_A_PIPELINE")
    executors = spec.at("deploymentSpec").find("executors") if spec.has("deploymentSpec") else None
    return Document(
        name=info.at("name").name(),
        display_name=info.at("displayName").text(),
        description=info.at("description").text(),
        pipeline_root=spec.at("defaultPipelineRoot").text(),
        schema_version=spec.at("schemaVersion").text(),
        sdk_version=spec.at("sdkVersion").text(),
        root=_component("root", spec.at("root")),
        components={name: _component(name, node) for name, node in spec.at("components").entries()},
        executors=executors.map(_executor) if executors else {},
        kubernetes=_kubernetes(platform_spec),
        sources=_sources(platform_spec),
    )


def _kubernetes(platform_spec: dict[str, Json] | None) -> Kubernetes:
    if platform_spec is None:
        return Kubernetes()
    platforms = _DocumentNode(platform_spec, "").find("platforms")
    kubernetes = platforms.find("kubernetes") if platforms else None
    if kubernetes is None:
        return Kubernetes()
    deployment = kubernetes.find("deploymentSpec")
    return Kubernetes(
        executors=deployment.at("executors").map(_DocumentNode.plain) if deployment else {},
        pipeline_config=kubernetes.at("pipelineConfig").plain(),
    )


def _sources(platform_spec: dict[str, Json] | None) -> dict[str, tuple[SourceLines, ...]]:
    own = _DocumentNode(platform_spec or {}, "").at("platforms").find_below("headrace", "deploymentSpec", "executors")
    return own.map(lambda node: tuple(_source_lines(one) for one in node.at("source").items())) if own else {}


def _source_lines(node: _DocumentNode) -> SourceLines:
    return SourceLines(
        row=node.at("row").count(),
        rows=node.at("rows").count(),
        file=node.at("file").text(),
        line=node.at("line").count(),
    )


def _component(name: str, node: _DocumentNode) -> Component:
    dag = node.find("dag")
    executor = node.find("executorLabel")
    if (dag is None) == (executor is None):
        raise SpecError(node.path, "must have either `dag` or `executorLabel`.", code="SPEC_COMPONENT")
    return Component(
        name=name,
        inputs=_interface(node.find("inputDefinitions")),
        outputs=_interface(node.find("outputDefinitions")),
        dag=_dag(dag) if dag else None,
        executor=executor.name() if executor else None,
        task_config_passthroughs=tuple(p.plain() for p in node.at("taskConfigPassthroughs").items()),
        platform_specs=tuple(p.plain() for p in node.at("singlePlatformSpecs").items()),
    )


def _interface(node: _DocumentNode | None) -> Interface:
    if node is None:
        return Interface()
    return Interface(
        parameters=node.at("parameters").map(_parameter_definition),
        artifacts=node.at("artifacts").map(_artifact_definition),
    )


def _parameter_definition(node: _DocumentNode) -> ParameterDefinition:
    return ParameterDefinition(
        type=_parameter_type(node),
        default=node.at("defaultValue").value if node.has("defaultValue") else msgspec.UNSET,
        optional=node.at("isOptional").boolean(),
        description=node.at("description").text(),
        literals=tuple(item.value for item in node.at("literals").items()),
    )


def _parameter_type(node: _DocumentNode) -> str:
    word = node.at("parameterType").word(PARAMETER_TYPES)
    if word != PARAMETER_TYPES[0]:
        return word
    primitive = node.at("type").word(_PRIMITIVE_TYPES)
    if primitive == _PRIMITIVE_TYPES[0]:
        raise SpecError(
            f"{node.path}.parameterType", "is missing: write one of " + ", ".join(PARAMETER_TYPES[1:]) + ".",
            code="SPEC_MISSING",
        )  # fmt: skip
    return _PRIMITIVE_AS_PARAMETER[primitive]


def _artifact_definition(node: _DocumentNode) -> ArtifactDefinition:
    return ArtifactDefinition(
        schema=_schema(node.at("artifactType")),
        is_list=node.at("isArtifactList").boolean(),
        optional=node.at("isOptional").boolean(),
        description=node.at("description").text(),
        metadata=node.at("metadata").plain(),
    )


def _schema(node: _DocumentNode) -> ArtifactSchema:
    if node.value is None:
        return ArtifactSchema()
    return ArtifactSchema(
        schema_title=node.at("schemaTitle").text(),
        schema_uri=node.at("schemaUri").text(),
        instance_schema=node.at("instanceSchema").text(),
        schema_version=node.at("schemaVersion").text(),
    )


def _dag(node: _DocumentNode) -> Dag:
    return Dag(
        tasks={name: _task(name, task) for name, task in node.at("tasks").entries()},
        outputs=_dag_outputs(node.find("outputs")),
    )


def _dag_outputs(node: _DocumentNode | None) -> DagOutputs:
    if node is None:
        return DagOutputs()
    return DagOutputs(
        parameters=node.at("parameters").map(_dag_parameter),
        artifacts=node.at("artifacts").map(_dag_artifact),
    )


def _dag_parameter(node: _DocumentNode) -> DagOutput:
    single = node.find("valueFromParameter")
    if single is not None:
        return DagOutput(selectors=(_selector(single, "outputParameterKey"),))
    several = node.find("valueFromOneof")
    if several is None:
        raise SpecError(node.path, "needs `valueFromParameter` or `valueFromOneof`.", code="SPEC_MISSING")
    found = tuple(_selector(p, "outputParameterKey") for p in several.at("parameterSelectors").items())
    return DagOutput(selectors=found, one_of=True)


def _dag_artifact(node: _DocumentNode) -> DagOutput:
    found = tuple(_selector(p, "outputArtifactKey") for p in node.at("artifactSelectors").items())
    return DagOutput(selectors=found, one_of=len(found) > 1)


def _selector(node: _DocumentNode, key: str) -> TaskOutput:
    return TaskOutput(task=node.at("producerSubtask").name(), output=node.at(key).name())


def _task(name: str, node: _DocumentNode) -> Task:
    caching = node.find("cachingOptions")
    trigger = node.find("triggerPolicy")
    info = node.find("taskInfo")
    component = node.find("componentRef")
    if component is None:
        raise SpecError(f"{node.path}.componentRef", "is missing: which component is it?", code="SPEC_MISSING")
    retry = node.find("retryPolicy")
    return Task(
        name=name,
        display_name=info.at("name").text() if info else "",
        component=component.at("name").name(),
        inputs=_task_inputs(node.find("inputs")),
        after=node.at("dependentTasks").texts(),
        cache=caching.at("enableCache").boolean() if caching else False,
        cache_key=caching.at("cacheKey").text() if caching else "",
        condition=trigger.at("condition").text() if trigger else "",
        strategy=trigger.at("strategy").word(STRATEGIES) if trigger else STRATEGIES[0],
        iterator=_iterator(node),
        retry=_retry(retry) if retry else None,
    )


def _task_inputs(node: _DocumentNode | None) -> TaskInputs:
    if node is None:
        return TaskInputs()
    return TaskInputs(
        parameters=node.at("parameters").map(_parameter_source),
        artifacts=node.at("artifacts").map(_artifact_source),
    )


def _parameter_source(node: _DocumentNode) -> ParameterSource:
    selector = node.at("parameterExpressionSelector").text()
    if (output := node.find("taskOutputParameter")) is not None:
        return ParameterSource(task_output=_task_output(output, "outputParameterKey"), selector=selector)
    if (name := node.find("componentInputParameter")) is not None:
        return ParameterSource(component_input=name.name(), selector=selector)
    if (status := node.find("taskFinalStatus")) is not None:
        return ParameterSource(final_status_of=status.at("producerTask").name(), selector=selector)
    if (value := node.find("runtimeValue")) is not None:
        return ParameterSource(constant=_constant(value), selector=selector)
    raise SpecError(
        node.path,
        "needs one of taskOutputParameter, componentInputParameter, runtimeValue.constant, taskFinalStatus.",
        code="SPEC_MISSING",
    )


def _constant(node: _DocumentNode) -> Json:
    if node.has("constant"):
        return node.at("constant").value
    old = node.find("constantValue")
    if old is not None:
        for name in ("stringValue", "doubleValue"):
            if old.has(name):
                return old.at(name).value
        if old.has("intValue"):
            return old.at("intValue").count()
    if node.has("runtimeParameter"):
        raise SpecError(
            f"{node.path}.runtimeParameter",
            "is no longer supported: pass the value as a componentInputParameter.",
            code="SPEC_UNSUPPORTED",
        )
    # Protobuf's JSON reader gives an explicit null for an unset constant.
    return None


def _artifact_source(node: _DocumentNode) -> ArtifactSource:
    if (output := node.find("taskOutputArtifact")) is not None:
        return ArtifactSource(task_output=_task_output(output, "outputArtifactKey"))
    if (name := node.find("componentInputArtifact")) is not None:
        return ArtifactSource(component_input=name.name())
    raise SpecError(node.path, "needs taskOutputArtifact or componentInputArtifact.", code="SPEC_MISSING")


def _task_output(node: _DocumentNode, key: str) -> TaskOutput:
    return TaskOutput(task=node.at("producerTask").name(), output=node.at(key).name())


def _iterator(task: _DocumentNode) -> Iteration | None:
    parameter, artifact = task.find("parameterIterator"), task.find("artifactIterator")
    node = parameter or artifact
    if node is None:
        return None
    items = node.at("items")
    policy = task.find("iteratorPolicy")
    raw = items.find("raw") if parameter else None
    source = items.find("inputParameter" if parameter else "inputArtifact")
    if raw is None and source is None:
        raise SpecError(items.path, "needs `raw` or the name of an input to loop over.", code="SPEC_MISSING")
    return Iteration(
        over="parameter" if parameter else "artifact",
        item_input=node.at("itemInput").text(),
        raw=raw.text() if raw else None,
        input=source.name() if source else None,
        parallelism=policy.at("parallelismLimit").count() if policy else 0,
    )


def _retry(node: _DocumentNode) -> RetryPolicy:
    return RetryPolicy(
        max_count=node.at("maxRetryCount").count(),
        backoff_s=node.at("backoffDuration").seconds(),
        backoff_factor=node.at("backoffFactor").number(),
        backoff_max_s=node.at("backoffMaxDuration").seconds(),
    )


def _executor(node: _DocumentNode) -> ExecutorDefinition:
    if (container := node.find("container")) is not None:
        return ExecutorDefinition(container=_container(container))
    if (importer := node.find("importer")) is not None:
        return ExecutorDefinition(importer=_importer(importer))
    for kind in ("resolver", "customJob"):
        if node.find(kind) is not None:
            return ExecutorDefinition(unsupported=kind)
    raise SpecError(node.path, "needs `container` or `importer`.", code="SPEC_MISSING")


def _container(node: _DocumentNode) -> Container:
    return Container(
        image=node.at("image").text(),
        command=node.at("command").texts(),
        args=node.at("args").texts(),
        env=tuple((item.at("name").name(), item.at("value").text()) for item in node.at("env").items()),
        resources=_resources(node.find("resources")),
    )


def _resources(node: _DocumentNode | None) -> dict[str, str]:
    """Kubernetes quantities as texts; the deprecated numbers (cores, gigabytes) are read if there is no text."""
    if node is None:
        return {}
    found = {}
    for word, unit in (("cpu", ""), ("memory", "G")):
        for bound in ("Request", "Limit"):
            text = node.at(f"resource{word.title()}{bound}").text()
            number = node.at(f"{word}{bound}").number()
            if text or number:
                found[f"{word}_{bound.lower()}"] = text or f"{number:g}{unit}"
    accelerator = node.find("accelerator")
    if accelerator is not None:
        kind = accelerator.find("type", "resourceType")
        count = accelerator.find("count", "resourceCount")
        if kind is not None and kind.text():
            found["accelerator_type"] = kind.text()
        if count is not None:
            found["accelerator_count"] = _quantity(count)
    return found


def _quantity(node: _DocumentNode) -> str:
    return node.value if isinstance(node.value, str) else str(node.count())


def _importer(node: _DocumentNode) -> Importer:
    uri = node.at("artifactUri")
    if uri.value is None:
        raise SpecError(uri.path, "is missing: what is to be imported?", code="SPEC_MISSING")
    name = uri.find("runtimeParameter")
    constant = None if name else _constant(uri)
    if name is None and not isinstance(constant, str):
        raise uri.fail("`constant` (a URI) or `runtimeParameter` (a parameter input's name)")
    return Importer(
        uri=constant,
        uri_input=name.name() if name else None,
        schema=_schema(node.at("typeSchema")),
        metadata=node.at("metadata").plain(),
        reimport=node.at("reimport").boolean(),
        download_to_workspace=node.at("downloadToWorkspace").boolean(),
    )
