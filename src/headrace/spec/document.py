"""The pipeline document as frozen values: KFP's PipelineSpec (IR) and PlatformSpec.

`parse_document` takes plain JSON objects (as YAML or JSON text gives them) and checks
shapes, not references: those are `spec.verify`'s. Field names are accepted in
camelCase, as compilers write them, and in snake_case; enums as names or numbers;
integers also as whole doubles. Unknown fields are passed over: documents of newer
compilers stay readable, and the original text is kept by whoever stores it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

Json: TypeAlias = Any
T = TypeVar("T")

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


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all parts of the document."""


# --- interfaces ------------------------------------------------------------------------------


class ArtifactSchema(Part, frozen=True, kw_only=True):
    """`artifactType`, or an importer's `typeSchema`."""

    schema_title: str = ""
    schema_uri: str = ""
    instance_schema: str = ""
    schema_version: str = ""


class ParameterDefinition(Part, frozen=True, kw_only=True):
    """A parameter a component takes or gives."""

    #: A word of `PARAMETER_TYPES`.
    type: str = "STRING"
    #: UNSET when there is none; None is a default too.
    default: Json = msgspec.UNSET
    optional: bool = False
    description: str = ""
    #: Allowed values; empty: any.
    literals: tuple[Json, ...] = ()

    @property
    def required(self) -> bool:
        """True when a value has to be given."""
        return not self.optional and self.default is msgspec.UNSET


class ArtifactDefinition(Part, frozen=True, kw_only=True):
    """An artifact a component takes or gives."""

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
    #: Task whose final status is wanted.
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
    #: At most so many iterations at a time; 0: no limit.
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
    """Tasks and what of theirs is handed out."""

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
    """`container`; texts may hold placeholders."""

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
    #: `resolver` or `customJob`: known to the document's schema, run by nobody.
    unsupported: str | None = None


class Kubernetes(Part, frozen=True, kw_only=True):
    """`platforms.kubernetes` of the PlatformSpec, contents as in the document."""

    executors: dict[str, dict[str, Json]] = {}
    #: `pipelineConfig`: workspace, time to live, deadline.
    pipeline_config: dict[str, Json] = {}


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


# --- reading ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _Place:
    """A value in the document and where it stands."""

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

    def at(self, name: str) -> _Place:
        """The field `name`, None when absent."""
        fields = self.object()
        key = name if name in fields else _snake(name)
        return _Place(fields.get(key), f"{self.path}.{key if key in fields else name}".lstrip("."))

    def find(self, *names: str) -> _Place | None:
        """The last of the fields that is there and not null."""
        found = None
        for name in names:
            place = self.at(name)
            if place.value is not None:
                found = place
        return found

    def entries(self) -> Iterator[tuple[str, _Place]]:
        """Fields of a map whose keys are the user's own names; nothing when null."""
        if self.value is None:
            return
        for key, value in self.object().items():
            if not isinstance(key, str):
                raise SpecError(self.path, f"keys must be texts, got {_shown(key)}.", code="SPEC_TYPE")
            yield key, _Place(value, f"{self.path}.{key}")

    def map(self, read: Callable[[_Place], T]) -> dict[str, T]:
        return {key: read(place) for key, place in self.entries()}

    def items(self) -> Iterator[_Place]:
        if self.value is None:
            return
        if not isinstance(self.value, list | tuple):
            raise self.fail("a list")
        for i, value in enumerate(self.value):
            yield _Place(value, f"{self.path}[{i}]")

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
    spec = _Place(pipeline_spec, "")
    if not isinstance(pipeline_spec, Mapping):
        raise spec.fail("a pipeline document: an object with `pipelineInfo` and `root`")
    info = spec.at("pipelineInfo")
    if not isinstance(info.value, Mapping):
        raise SpecError(
            "pipelineInfo", "is missing: this is no pipeline document (KFP IR YAML).", code="SPEC_NOT_A_PIPELINE"
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
        components={name: _component(name, place) for name, place in spec.at("components").entries()},
        executors=executors.map(_executor) if executors else {},
        kubernetes=_kubernetes(platform_spec),
    )


def _kubernetes(platform_spec: dict[str, Json] | None) -> Kubernetes:
    if platform_spec is None:
        return Kubernetes()
    platforms = _Place(platform_spec, "").find("platforms")
    kubernetes = platforms.find("kubernetes") if platforms else None
    if kubernetes is None:
        return Kubernetes()
    deployment = kubernetes.find("deploymentSpec")
    return Kubernetes(
        executors=deployment.at("executors").map(_Place.plain) if deployment else {},
        pipeline_config=kubernetes.at("pipelineConfig").plain(),
    )


def _component(name: str, place: _Place) -> Component:
    dag = place.find("dag")
    executor = place.find("executorLabel")
    if (dag is None) == (executor is None):
        raise SpecError(place.path, "must have either `dag` or `executorLabel`.", code="SPEC_COMPONENT")
    return Component(
        name=name,
        inputs=_interface(place.find("inputDefinitions")),
        outputs=_interface(place.find("outputDefinitions")),
        dag=_dag(dag) if dag else None,
        executor=executor.name() if executor else None,
        task_config_passthroughs=tuple(p.plain() for p in place.at("taskConfigPassthroughs").items()),
        platform_specs=tuple(p.plain() for p in place.at("singlePlatformSpecs").items()),
    )


def _interface(place: _Place | None) -> Interface:
    if place is None:
        return Interface()
    return Interface(
        parameters=place.at("parameters").map(_parameter_definition),
        artifacts=place.at("artifacts").map(_artifact_definition),
    )


def _parameter_definition(place: _Place) -> ParameterDefinition:
    return ParameterDefinition(
        type=_parameter_type(place),
        default=place.at("defaultValue").value if place.has("defaultValue") else msgspec.UNSET,
        optional=place.at("isOptional").boolean(),
        description=place.at("description").text(),
        literals=tuple(item.value for item in place.at("literals").items()),
    )


def _parameter_type(place: _Place) -> str:
    word = place.at("parameterType").word(PARAMETER_TYPES)
    if word != PARAMETER_TYPES[0]:
        return word
    primitive = place.at("type").word(_PRIMITIVE_TYPES)
    if primitive == _PRIMITIVE_TYPES[0]:
        raise SpecError(
            f"{place.path}.parameterType", "is missing: write one of " + ", ".join(PARAMETER_TYPES[1:]) + ".",
            code="SPEC_MISSING",
        )  # fmt: skip
    return _PRIMITIVE_AS_PARAMETER[primitive]


def _artifact_definition(place: _Place) -> ArtifactDefinition:
    return ArtifactDefinition(
        schema=_schema(place.at("artifactType")),
        is_list=place.at("isArtifactList").boolean(),
        optional=place.at("isOptional").boolean(),
        description=place.at("description").text(),
        metadata=place.at("metadata").plain(),
    )


def _schema(place: _Place) -> ArtifactSchema:
    if place.value is None:
        return ArtifactSchema()
    return ArtifactSchema(
        schema_title=place.at("schemaTitle").text(),
        schema_uri=place.at("schemaUri").text(),
        instance_schema=place.at("instanceSchema").text(),
        schema_version=place.at("schemaVersion").text(),
    )


def _dag(place: _Place) -> Dag:
    return Dag(
        tasks={name: _task(name, task) for name, task in place.at("tasks").entries()},
        outputs=_dag_outputs(place.find("outputs")),
    )


def _dag_outputs(place: _Place | None) -> DagOutputs:
    if place is None:
        return DagOutputs()
    return DagOutputs(
        parameters=place.at("parameters").map(_dag_parameter),
        artifacts=place.at("artifacts").map(_dag_artifact),
    )


def _dag_parameter(place: _Place) -> DagOutput:
    single = place.find("valueFromParameter")
    if single is not None:
        return DagOutput(selectors=(_selector(single, "outputParameterKey"),))
    several = place.find("valueFromOneof")
    if several is None:
        raise SpecError(place.path, "needs `valueFromParameter` or `valueFromOneof`.", code="SPEC_MISSING")
    found = tuple(_selector(p, "outputParameterKey") for p in several.at("parameterSelectors").items())
    return DagOutput(selectors=found, one_of=True)


def _dag_artifact(place: _Place) -> DagOutput:
    found = tuple(_selector(p, "outputArtifactKey") for p in place.at("artifactSelectors").items())
    return DagOutput(selectors=found, one_of=len(found) > 1)


def _selector(place: _Place, key: str) -> TaskOutput:
    return TaskOutput(task=place.at("producerSubtask").name(), output=place.at(key).name())


def _task(name: str, place: _Place) -> Task:
    caching = place.find("cachingOptions")
    trigger = place.find("triggerPolicy")
    info = place.find("taskInfo")
    component = place.find("componentRef")
    if component is None:
        raise SpecError(f"{place.path}.componentRef", "is missing: which component is it?", code="SPEC_MISSING")
    retry = place.find("retryPolicy")
    return Task(
        name=name,
        display_name=info.at("name").text() if info else "",
        component=component.at("name").name(),
        inputs=_task_inputs(place.find("inputs")),
        after=place.at("dependentTasks").texts(),
        cache=caching.at("enableCache").boolean() if caching else False,
        cache_key=caching.at("cacheKey").text() if caching else "",
        condition=trigger.at("condition").text() if trigger else "",
        strategy=trigger.at("strategy").word(STRATEGIES) if trigger else STRATEGIES[0],
        iterator=_iterator(place),
        retry=_retry(retry) if retry else None,
    )


def _task_inputs(place: _Place | None) -> TaskInputs:
    if place is None:
        return TaskInputs()
    return TaskInputs(
        parameters=place.at("parameters").map(_parameter_source),
        artifacts=place.at("artifacts").map(_artifact_source),
    )


def _parameter_source(place: _Place) -> ParameterSource:
    selector = place.at("parameterExpressionSelector").text()
    if (output := place.find("taskOutputParameter")) is not None:
        return ParameterSource(task_output=_task_output(output, "outputParameterKey"), selector=selector)
    if (name := place.find("componentInputParameter")) is not None:
        return ParameterSource(component_input=name.name(), selector=selector)
    if (status := place.find("taskFinalStatus")) is not None:
        return ParameterSource(final_status_of=status.at("producerTask").name(), selector=selector)
    if (value := place.find("runtimeValue")) is not None:
        return ParameterSource(constant=_constant(value), selector=selector)
    raise SpecError(
        place.path,
        "needs one of taskOutputParameter, componentInputParameter, runtimeValue.constant, taskFinalStatus.",
        code="SPEC_MISSING",
    )


def _constant(place: _Place) -> Json:
    if place.has("constant"):
        return place.at("constant").value
    old = place.find("constantValue")
    if old is not None:
        for name in ("stringValue", "doubleValue"):
            if old.has(name):
                return old.at(name).value
        if old.has("intValue"):
            return old.at("intValue").count()
    if place.has("runtimeParameter"):
        raise SpecError(
            f"{place.path}.runtimeParameter",
            "is no longer supported: pass the value as a componentInputParameter.",
            code="SPEC_UNSUPPORTED",
        )
    # Protobuf's JSON reader gives an explicit null for an unset constant.
    return None


def _artifact_source(place: _Place) -> ArtifactSource:
    if (output := place.find("taskOutputArtifact")) is not None:
        return ArtifactSource(task_output=_task_output(output, "outputArtifactKey"))
    if (name := place.find("componentInputArtifact")) is not None:
        return ArtifactSource(component_input=name.name())
    raise SpecError(place.path, "needs taskOutputArtifact or componentInputArtifact.", code="SPEC_MISSING")


def _task_output(place: _Place, key: str) -> TaskOutput:
    return TaskOutput(task=place.at("producerTask").name(), output=place.at(key).name())


def _iterator(task: _Place) -> Iteration | None:
    parameter, artifact = task.find("parameterIterator"), task.find("artifactIterator")
    place = parameter or artifact
    if place is None:
        return None
    items = place.at("items")
    policy = task.find("iteratorPolicy")
    raw = items.find("raw") if parameter else None
    source = items.find("inputParameter" if parameter else "inputArtifact")
    if raw is None and source is None:
        raise SpecError(items.path, "needs `raw` or the name of an input to loop over.", code="SPEC_MISSING")
    return Iteration(
        over="parameter" if parameter else "artifact",
        item_input=place.at("itemInput").text(),
        raw=raw.text() if raw else None,
        input=source.name() if source else None,
        parallelism=policy.at("parallelismLimit").count() if policy else 0,
    )


def _retry(place: _Place) -> RetryPolicy:
    return RetryPolicy(
        max_count=place.at("maxRetryCount").count(),
        backoff_s=place.at("backoffDuration").seconds(),
        backoff_factor=place.at("backoffFactor").number(),
        backoff_max_s=place.at("backoffMaxDuration").seconds(),
    )


def _executor(place: _Place) -> ExecutorDefinition:
    if (container := place.find("container")) is not None:
        return ExecutorDefinition(container=_container(container))
    if (importer := place.find("importer")) is not None:
        return ExecutorDefinition(importer=_importer(importer))
    for kind in ("resolver", "customJob"):
        if place.find(kind) is not None:
            return ExecutorDefinition(unsupported=kind)
    raise SpecError(place.path, "needs `container` or `importer`.", code="SPEC_MISSING")


def _container(place: _Place) -> Container:
    return Container(
        image=place.at("image").text(),
        command=place.at("command").texts(),
        args=place.at("args").texts(),
        env=tuple((item.at("name").name(), item.at("value").text()) for item in place.at("env").items()),
        resources=_resources(place.find("resources")),
    )


def _resources(place: _Place | None) -> dict[str, str]:
    """Kubernetes quantities as texts; the deprecated numbers (cores, gigabytes) are read where no text stands."""
    if place is None:
        return {}
    found = {}
    for word, unit in (("cpu", ""), ("memory", "G")):
        for bound in ("Request", "Limit"):
            text = place.at(f"resource{word.title()}{bound}").text()
            number = place.at(f"{word}{bound}").number()
            if text or number:
                found[f"{word}_{bound.lower()}"] = text or f"{number:g}{unit}"
    accelerator = place.find("accelerator")
    if accelerator is not None:
        kind = accelerator.find("type", "resourceType")
        count = accelerator.find("count", "resourceCount")
        if kind is not None and kind.text():
            found["accelerator_type"] = kind.text()
        if count is not None:
            found["accelerator_count"] = _quantity(count)
    return found


def _quantity(place: _Place) -> str:
    return place.value if isinstance(place.value, str) else str(place.count())


def _importer(place: _Place) -> Importer:
    uri = place.at("artifactUri")
    if uri.value is None:
        raise SpecError(uri.path, "is missing: what is to be imported?", code="SPEC_MISSING")
    name = uri.find("runtimeParameter")
    constant = None if name else _constant(uri)
    if name is None and not isinstance(constant, str):
        raise uri.fail("`constant` (a URI) or `runtimeParameter` (a parameter input's name)")
    return Importer(
        uri=constant,
        uri_input=name.name() if name else None,
        schema=_schema(place.at("typeSchema")),
        metadata=place.at("metadata").plain(),
        reimport=place.at("reimport").boolean(),
        download_to_workspace=place.at("downloadToWorkspace").boolean(),
    )
