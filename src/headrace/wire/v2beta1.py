"""KFP's messages, as `/apis/v2beta1` sends and accepts them. Names and order of the fields are KFP's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages: empty fields are not sent."""


class Status(Message, frozen=True, kw_only=True):
    """`google.rpc.Status`: why something failed; also the body of every error."""

    code: int = 0
    message: str = ""
    details: list[dict[str, Json]] = []


class UploadError(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an upload's error."""

    error_message: str
    error_details: str


class Empty(Message, frozen=True, kw_only=True):
    """`{}`."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /apis/v2beta1/healthz`."""

    commit_sha: str
    tag_name: str
    multi_user: bool
    pipeline_store: str


class HealthV1(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /apis/v1beta1/healthz`."""

    commit_sha: str
    tag_name: str
    multi_user: bool


class Experiment(Message, frozen=True, kw_only=True):
    """A folder of runs."""

    experiment_id: str = ""
    display_name: str = ""
    description: str = ""
    created_at: datetime | None = None
    namespace: str = ""
    storage_state: str = ""
    last_run_created_at: datetime | None = None


class ExperimentList(Message, frozen=True, kw_only=True):
    """`GET /experiments`."""

    experiments: list[Experiment] = []
    total_size: int = 0
    next_page_token: str = ""


class Pipeline(Message, frozen=True, kw_only=True):
    """A named pipeline."""

    pipeline_id: str = ""
    display_name: str = ""
    name: str = ""
    description: str = ""
    created_at: datetime | None = None
    namespace: str = ""
    error: Status | None = None
    #: In a change: absent leaves the tags alone, `{}` clears them.
    tags: dict[str, str] | None = None


class PipelineList(Message, frozen=True, kw_only=True):
    """`GET /pipelines`."""

    pipelines: list[Pipeline] = []
    total_size: int = 0
    next_page_token: str = ""


class Url(Message, frozen=True, kw_only=True):
    """Where a document was fetched from."""

    pipeline_url: str = ""


class PipelineVersion(Message, frozen=True, kw_only=True):
    """One immutable uploaded document of a pipeline."""

    pipeline_id: str = ""
    pipeline_version_id: str = ""
    display_name: str = ""
    name: str = ""
    description: str = ""
    created_at: datetime | None = None
    package_url: Url | None = None
    code_source_url: str = ""
    #: The document; `{pipeline_spec, platform_spec}` when it has a platform part.
    pipeline_spec: dict[str, Json] | None = None
    error: Status | None = None
    tags: dict[str, str] | None = None


class PipelineVersionList(Message, frozen=True, kw_only=True):
    """`GET /pipelines/{pipeline_id}/versions`."""

    pipeline_versions: list[PipelineVersion] = []
    total_size: int = 0
    next_page_token: str = ""


class CreatePipelineAndVersion(Message, frozen=True, kw_only=True):
    """`POST /pipelines/create`."""

    pipeline: Pipeline = Pipeline()
    pipeline_version: PipelineVersion = PipelineVersion()


class PipelineVersionReference(Message, frozen=True, kw_only=True):
    """Which uploaded document a run is made from."""

    pipeline_id: str = ""
    pipeline_version_id: str = ""


class RuntimeConfig(Message, frozen=True, kw_only=True):
    """What a run is given."""

    parameters: dict[str, Json] = {}
    pipeline_root: str = ""


class RuntimeStatus(Message, frozen=True, kw_only=True):
    """A state and since when."""

    update_time: datetime | None = None
    state: str = ""
    error: Status | None = None


class ChildTask(Message, frozen=True, kw_only=True):
    """A task below another."""

    task_id: str = ""
    pod_name: str = ""


class ExecutorDetail(Message, frozen=True, kw_only=True):
    """KFP's names for the pods of a task; ours has none."""

    main_job: str = ""
    pre_caching_check_job: str = ""
    failed_main_jobs: list[str] = []
    failed_pre_caching_check_jobs: list[str] = []


class ArtifactIds(Message, frozen=True, kw_only=True):
    """Artifacts by their (64-bit, as text) number."""

    artifact_ids: list[str] = []


class PipelineTaskDetail(Message, frozen=True, kw_only=True):
    """One execution of a run."""

    run_id: str = ""
    task_id: str = ""
    display_name: str = ""
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    executor_detail: ExecutorDetail | None = None
    state: str = ""
    execution_id: str = ""
    error: Status | None = None
    inputs: dict[str, ArtifactIds] = {}
    outputs: dict[str, ArtifactIds] = {}
    parent_task_id: str = ""
    state_history: list[RuntimeStatus] = []
    pod_name: str = ""
    child_tasks: list[ChildTask] = []


class RunDetails(Message, frozen=True, kw_only=True):
    """The executions of a run."""

    pipeline_context_id: str = ""
    pipeline_run_context_id: str = ""
    task_details: list[PipelineTaskDetail] = []


class Run(Message, frozen=True, kw_only=True):
    """One submission of a document with arguments."""

    experiment_id: str = ""
    run_id: str = ""
    display_name: str = ""
    storage_state: str = ""
    description: str = ""
    pipeline_version_id: str = ""
    #: The document; `{pipeline_spec, platform_spec}` when it has a platform part.
    pipeline_spec: dict[str, Json] | None = None
    pipeline_version_reference: PipelineVersionReference | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: str = ""
    created_at: datetime | None = None
    scheduled_at: datetime | None = None
    finished_at: datetime | None = None
    state: str = ""
    error: Status | None = None
    run_details: RunDetails | None = None
    recurring_run_id: str = ""
    state_history: list[RuntimeStatus] = []
    plugins_input: dict[str, Json] = {}
    plugins_output: dict[str, Json] = {}


class RunList(Message, frozen=True, kw_only=True):
    """`GET /runs`."""

    runs: list[Run] = []
    total_size: int = 0
    next_page_token: str = ""


class CronSchedule(Message, frozen=True, kw_only=True):
    """At the times of a cron expression of six fields. Times are RFC 3339 texts."""

    start_time: str | None = None
    end_time: str | None = None
    cron: str = ""


class PeriodicSchedule(Message, frozen=True, kw_only=True):
    """Every so many seconds (64-bit: written as text, read as text or number)."""

    start_time: str | None = None
    end_time: str | None = None
    interval_second: str | int = ""


class Trigger(Message, frozen=True, kw_only=True):
    """When a recurring run makes its next run: one of the two."""

    cron_schedule: CronSchedule | None = None
    periodic_schedule: PeriodicSchedule | None = None


class RecurringRun(Message, frozen=True, kw_only=True):
    """Runs made on a schedule."""

    recurring_run_id: str = ""
    display_name: str = ""
    description: str = ""
    pipeline_version_id: str = ""
    pipeline_spec: dict[str, Json] | None = None
    pipeline_version_reference: PipelineVersionReference | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: str = ""
    max_concurrency: str | int = ""
    trigger: Trigger | None = None
    mode: str | int = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    status: str = ""
    error: Status | None = None
    no_catchup: bool = False
    namespace: str = ""
    experiment_id: str = ""
    plugins_input: dict[str, Json] = {}


class RecurringRunList(Message, frozen=True, kw_only=True, rename={"recurring_runs": "recurringRuns"}):
    """`GET /recurringruns`; the list's name is in camel case there."""

    recurring_runs: list[RecurringRun] = []
    total_size: int = 0
    next_page_token: str = ""
