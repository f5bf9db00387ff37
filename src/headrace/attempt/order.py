"""The launch order: all that an executor must know to make one attempt happen."""

from __future__ import annotations

import msgspec

from headrace.engine.model import ArtifactType, AttemptId, Bundle, Json, Value
from headrace.spec.document import SourceLines


class DeclaredOutputs(Value, frozen=True, kw_only=True):
    """What a component declares it produces."""

    #: name -> ParameterType word of the document (STRING, NUMBER_INTEGER, …).
    parameters: dict[str, str] = {}
    artifacts: dict[str, ArtifactType] = {}
    #: Artifact outputs that are lists.
    artifact_lists: frozenset[str] = frozenset()


class ContainerOrder(Value, frozen=True, kw_only=True):
    """`executors.<label>.container`, placeholders not yet replaced in command, args and env."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    #: Kubernetes quantities: keys `cpu_request, cpu_limit, memory_request, memory_limit,
    #: accelerator_type, accelerator_count`; absent when not set.
    resources: dict[str, str] = {}


class ImporterOrder(Value, frozen=True, kw_only=True):
    """`executors.<label>.importer` with its URI and metadata resolved."""

    uri: str
    type: ArtifactType
    metadata: dict[str, Json] = {}
    reimport: bool = False
    download_to_workspace: bool = False


#: `LaunchOrder.executor` of tasks that only register an artifact.
IMPORTER = "importer"


class LaunchOrder(Value, frozen=True, kw_only=True):
    """All that an executor must know of an attempt, resolved from the document and the state of the run."""

    attempt: AttemptId
    #: Task name in its DAG, and the component's name in the document (`comp-…`).
    task: str
    component: str
    #: Exactly one of the two is set.
    container: ContainerOrder | None = None
    importer: ImporterOrder | None = None
    #: Name of the executor that is to run it; "": the server's default.
    executor: str = ""
    inputs: Bundle = Bundle()
    #: Names of artifact inputs that are lists.
    artifact_lists: frozenset[str] = frozenset()
    outputs: DeclaredOutputs = DeclaredOutputs()
    #: Seconds of running after which the attempt is ended as TIMEOUT; None: no limit.
    timeout_s: float | None = None
    #: `platforms.kubernetes.deploymentSpec.executors.<label>`; values that come from the pipeline's inputs or from
    #: outputs of other tasks are filled in as `{"runtimeValue": {"constant": …}}`.
    kubernetes: dict[str, Json] = {}
    #: Begins the keys, in the artifact store, of all that this attempt puts there, and of nothing else: a URI, `s3://…`
    #: or `file:///…`. An order without one (as versions before this field wrote) has the part of a `file:` URI that
    #: follows the root of the server's own store.
    artifact_prefix: str = ""
    #: Bytes that the run's workspace may hold; None: no limit is known.
    workspace_bytes: int | None = None
    #: Facts of the run and task by placeholder name (`pipeline_job_name` for `{{$.pipeline_job_name}}`) -> text.
    facts: dict[str, str] = {}
    #: Display name of the run, and the pipeline's name in the document.
    run_name: str = ""
    pipeline_name: str = ""
    #: The run's namespace, the service account that its tasks act as, and the user who created the run;
    #: "" where the deployment has none.
    namespace: str = ""
    service_account: str = ""
    created_by: str = ""
    #: Where the component's source stands in its author's files; empty when that is not known.
    sources: tuple[SourceLines, ...] = ()
    #: What objects of the attempt are labelled with where a platform has labels: valid Kubernetes keys and values.
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.artifact_prefix:
            attempt = self.attempt
            prefix = f"{attempt.run_id}/{attempt.execution_id}/{attempt.number}"
            msgspec.structs.force_setattr(self, "artifact_prefix", prefix)

    @property
    def stores_remotely(self) -> bool:
        """Whether its artifacts go to an object store, where a component may write by itself."""
        return is_remote(self.artifact_prefix)


def is_remote(uri: str) -> bool:
    """Whether the URI names something in an object store; False for `file:` URIs and paths."""
    return "://" in uri and not uri.startswith("file:")
