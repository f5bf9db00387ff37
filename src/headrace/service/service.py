"""The service: what can be asked of a Headrace server, without HTTP.

One object, made by `Service.open`. All methods raise `service.errors` only. What they have
acknowledged is on disk when they return.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from headrace.engine.model import Execution, Json
from headrace.service.settings import Settings
from headrace.store.records import (
    ArtifactRecord,
    ExperimentRecord,
    ListQuery,
    Page,
    PipelineRecord,
    RunRecord,
    VersionRecord,
)
from headrace.wire.api import ExecutionDetail, ListChange, RunChange, RunView


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made from: a document, or a pipeline (its latest version) or version."""

    display_name: str = ""
    description: str = ""
    #: Parsed document as plain JSON objects (`pipeline_spec`, `platform_spec`), or
    pipeline_spec: dict[str, Json] | None = None
    platform_spec: dict[str, Json] | None = None
    #: … ids of what was uploaded.
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    experiment_id: str | None = None
    #: Found or made when no id is given; "" means the default experiment.
    experiment_name: str = ""
    parameters: dict[str, Json] = {}
    pipeline_root: str = ""
    service_account: str = ""
    #: None: as each task says; False: no cache is read.
    caching: bool | None = None


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded document."""

    name: str
    display_name: str = ""
    description: str = ""
    code_source_url: str = ""
    tags: dict[str, str] = {}
    pipeline_spec: dict[str, Json]
    platform_spec: dict[str, Json] | None = None


class Service:
    """A running service over one data directory."""

    @classmethod
    async def open(cls, settings: Settings) -> Service:
        """Open or make the data directory, take it for this process alone, resume every run.

        Raises Unavailable: HOME_READ_ONLY, HOME_FULL, HOME_IN_USE (details: pid, url of who has it),
        HOME_NEWER (made by a newer version of Headrace).
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let go: attempts go on running and are adopted by the next `open`."""
        raise NotImplementedError

    # experiments -----------------------------------------------------------------------------
    async def create_experiment(self, *, name: str, description: str = "", namespace: str = "") -> ExperimentRecord:
        raise NotImplementedError

    async def get_experiment(self, experiment_id: str) -> ExperimentRecord:
        raise NotImplementedError

    async def list_experiments(self, query: ListQuery) -> Page[ExperimentRecord]:
        raise NotImplementedError

    async def set_experiment_archived(self, experiment_id: str, archived: bool) -> None:
        raise NotImplementedError

    async def delete_experiment(self, experiment_id: str) -> None:
        raise NotImplementedError

    # pipelines and versions ------------------------------------------------------------------
    async def create_pipeline(
        self, *, name: str, display_name: str = "", description: str = "", namespace: str = "",
        tags: dict[str, str] | None = None, version: NewVersion | None = None,
    ) -> PipelineRecord:
        raise NotImplementedError

    async def create_version(self, pipeline_id: str, version: NewVersion) -> VersionRecord:
        raise NotImplementedError

    async def get_pipeline(self, pipeline_id: str) -> PipelineRecord:
        raise NotImplementedError

    async def get_pipeline_by_name(self, name: str, namespace: str = "") -> PipelineRecord:
        raise NotImplementedError

    async def list_pipelines(self, query: ListQuery) -> Page[PipelineRecord]:
        raise NotImplementedError

    async def update_pipeline(
        self, pipeline_id: str, *, display_name: str | None = None, tags: dict[str, str] | None = None
    ) -> PipelineRecord:
        raise NotImplementedError

    async def delete_pipeline(self, pipeline_id: str, *, cascade: bool = False) -> None:
        raise NotImplementedError

    async def get_version(self, pipeline_version_id: str) -> VersionRecord:
        raise NotImplementedError

    async def list_versions(self, pipeline_id: str, query: ListQuery) -> Page[VersionRecord]:
        raise NotImplementedError

    async def update_version(
        self, pipeline_version_id: str, *, display_name: str | None = None, tags: dict[str, str] | None = None
    ) -> VersionRecord:
        raise NotImplementedError

    async def delete_version(self, pipeline_version_id: str) -> None:
        raise NotImplementedError

    # runs ------------------------------------------------------------------------------------
    async def create_run(self, new: NewRun) -> RunRecord:
        """Check the document and the arguments, store the run with RunStarted, and begin."""
        raise NotImplementedError

    async def get_run(self, run_id: str) -> RunRecord:
        raise NotImplementedError

    async def get_run_document(self, run_id: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
        """`(pipeline_spec, platform_spec)` of the run."""
        raise NotImplementedError

    async def list_runs(self, query: ListQuery) -> Page[RunRecord]:
        raise NotImplementedError

    async def get_executions(self, run_id: str) -> tuple[Execution, ...]:
        """All executions of a run, parents before children."""
        raise NotImplementedError

    async def terminate_run(self, run_id: str) -> None:
        raise NotImplementedError

    async def retry_run(self, run_id: str) -> None:
        raise NotImplementedError

    async def set_run_archived(self, run_id: str, archived: bool) -> None:
        raise NotImplementedError

    async def delete_run(self, run_id: str) -> None:
        """Delete a run and its executions; one that is not final is terminated first. Artifacts go with it."""
        raise NotImplementedError

    # views for `/api` ------------------------------------------------------------------------
    async def run_view(self, run_id: str) -> RunView:
        raise NotImplementedError

    async def execution_detail(self, execution_id: str) -> ExecutionDetail:
        raise NotImplementedError

    def watch_run(self, run_id: str, *, after_version: int = 0) -> AsyncIterator[RunChange]:
        """What changed after `after_version` (0: everything), then each change, batched (at most ~10 a second);
        ends once the run is final and all is sent. Raises NotFound at the first step."""
        raise NotImplementedError

    def watch_runs(self) -> AsyncIterator[ListChange]:
        """Summaries of runs as they change, batched; endless."""
        raise NotImplementedError

    async def get_artifact(self, artifact_id: str) -> ArtifactRecord:
        raise NotImplementedError

    def read_artifact(
        self, artifact_id: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        """The content in chunks; `member` is a file's name inside a directory artifact (checked, never followed out)."""
        raise NotImplementedError

    async def list_artifact_members(self, artifact_id: str) -> tuple[tuple[str, int], ...]:
        """`(name, size_bytes)` of each file of a directory artifact; one pair with name "" for a file."""
        raise NotImplementedError

    async def log_size(self, execution_id: str, attempt: int) -> int:
        """Bytes of the attempt's log so far. Raises NotFound."""
        raise NotImplementedError

    def read_log(
        self, execution_id: str, attempt: int, *, offset: int = 0, limit: int | None = None, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """The attempt's log from byte `offset`; with `follow`, until the attempt has ended."""
        raise NotImplementedError
