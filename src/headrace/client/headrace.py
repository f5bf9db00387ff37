"""The client of our own API: runs, live changes, logs, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headrace.client import core
from headrace.client.server_address import find_server_address
from headrace.client.transport import Transport
from headrace.wire import api

T = TypeVar("T")

_RUN = "/api/runs/{run_id}"
_EXECUTION = "/api/executions/{execution_id}"
_ARTIFACT = "/api/artifacts/{artifact_id}"


class LogPart(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a log."""

    content: bytes
    #: The byte after the content.
    offset: int
    #: How long the log is by now.
    size: int


class Headrace:
    """A running server. Without an address, the one that runs over the data directory.

    Methods raise ApiError for what the server refuses and ServerUnreachable when it does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        home: Path | None = None,
        timeout_s: float = 60.0,
        transport: Transport | None = None,
    ) -> None:
        self.transport = transport or Transport(find_server_address(url, token, home), timeout_s=timeout_s)

    @property
    def url(self) -> str:
        """The server's address."""
        return self.transport.address.url

    def close(self) -> None:
        """Let go of the connection."""
        self.transport.close()

    # session -----------------------------------------------------------------------------------
    def healthy(self) -> bool:
        """Whether the server answers at all."""
        try:
            return self.transport.send(core.get("/healthz")).status == 200
        except ConnectionError:
            return False

    def session(self) -> api.SessionView:
        """Who we are to the server, and what it is."""
        return self._ask(core.get("/api/session"), api.SessionView)

    def sign_in_link(self) -> api.SignInLink:
        """A link that signs one browser in, once."""
        return self._ask(core.post("/api/session/link"), api.SignInLink)

    # runs --------------------------------------------------------------------------------------
    def list_runs(
        self,
        *,
        page_size: int = 20,
        page_token: str = "",
        sort_by: str = "",
        filter: str = "",
        state: str = "",
        storage_state: str = "",
        experiment_id: str = "",
        search: str = "",
    ) -> api.RunList:
        """A page of runs, newest first."""
        query = {
            "page_size": page_size,
            "page_token": page_token,
            "sort_by": sort_by,
            "filter": filter,
            "state": state,
            "storage_state": storage_state,
            "experiment_id": experiment_id,
            "search": search,
        }
        return self._ask(core.get("/api/runs", query), api.RunList)

    def create_run(self, run: api.CreateRun) -> api.RunSummary:
        """Start a run."""
        return self._ask(core.post("/api/runs", run), api.RunSummary)

    def get_run(self, run_id: str) -> api.RunView:
        """A run, its plan and all its executions."""
        return self._ask(core.get(core.path(_RUN, run_id=run_id)), api.RunView)

    def terminate_run(self, run_id: str) -> None:
        """End a run early."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/terminate"))

    def retry_run(self, run_id: str) -> None:
        """Try the failed parts of a finished run again."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/retry"))

    def get_document(self, run_id: str) -> api.DocumentView:
        """The document a run was made from."""
        return self._ask(core.get(core.path(_RUN, run_id=run_id) + "/document"), api.DocumentView)

    def rerun_run(self, run_id: str, wanted: api.RerunRun) -> api.RunSummary:
        """Make a new run that takes over what need not run again."""
        return self._ask(core.post(core.path(_RUN, run_id=run_id) + "/rerun", wanted), api.RunSummary)

    def mark_execution(self, run_id: str, execution_id: str, wanted: api.MarkExecution) -> None:
        """Decide what a task came to: SUCCEEDED with these outputs, or SKIPPED."""
        where = core.path(_RUN + "/executions/{execution_id}/mark", run_id=run_id, execution_id=execution_id)
        self._do(core.post(where, wanted))

    def pause_run(self, run_id: str) -> None:
        """Begin nothing new; what runs goes on."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/pause"))

    def resume_run(self, run_id: str) -> None:
        """Go on with what a pause held back."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/resume"))

    def archive_run(self, run_id: str) -> None:
        """Put a run away; nothing is lost."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/archive"))

    def unarchive_run(self, run_id: str) -> None:
        """Bring an archived run back."""
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/unarchive"))

    def delete_run(self, run_id: str) -> None:
        """Delete a run and what it made."""
        self._do(core.delete(core.path(_RUN, run_id=run_id)))

    def watch_run(self, run_id: str, *, patience_s: float = 30.0) -> Iterator[api.RunChange]:
        """The run as it is, then each change, until it is final. A lost connection is taken up again."""
        request = core.get(core.path(_RUN, run_id=run_id) + "/events")
        for event in self.transport.events(request, patience_s=patience_s):
            if event.event == "change":
                yield msgspec.json.decode(event.data, type=api.RunChange)

    def watch_runs(self, *, patience_s: float = 30.0) -> Iterator[api.ListChange]:
        """Summaries of runs as they change, without end."""
        for event in self.transport.events(core.get("/api/events"), patience_s=patience_s):
            if event.event == "runs":
                yield msgspec.json.decode(event.data, type=api.ListChange)

    # executions --------------------------------------------------------------------------------
    def get_execution(self, execution_id: str) -> api.ExecutionDetail:
        """All there is to know of one execution."""
        return self._ask(core.get(core.path(_EXECUTION, execution_id=execution_id)), api.ExecutionDetail)

    def read_log(
        self, execution_id: str, *, attempt: int | None = None, offset: int = 0, limit: int | None = None
    ) -> LogPart:
        """Part of an attempt's log; a negative offset counts from the end, no attempt means the latest."""
        query = {"attempt": attempt, "offset": offset or None, "limit": limit}
        answer = self.transport.send(core.get(core.path(_EXECUTION, execution_id=execution_id) + "/logs", query))
        core.check(answer)
        return LogPart(
            content=answer.body,
            offset=int(answer.headers.get("x-log-offset", "0")),
            size=int(answer.headers.get("x-log-size", "0")),
        )

    def stream_log(
        self, execution_id: str, *, attempt: int | None = None, offset: int = 0, patience_s: float = 30.0
    ) -> Iterator[api.LogChunk]:
        """An attempt's log as it is written, until the attempt has ended."""
        query = {"attempt": attempt, "offset": offset or None}
        request = core.get(core.path(_EXECUTION, execution_id=execution_id) + "/logs/stream", query)
        for event in self.transport.events(request, patience_s=patience_s):
            if event.event == "log":
                yield msgspec.json.decode(event.data, type=api.LogChunk)

    # why ---------------------------------------------------------------------------------------
    def explain_run(self, run_id: str, *, limit: int | None = None) -> api.RunExplanation:
        """Why a run is in its state, what its tasks wait for, and each of at most `limit` tasks."""
        return self._ask(core.get(core.path(_RUN, run_id=run_id) + "/explain", {"limit": limit}), api.RunExplanation)

    def explain_execution(self, execution_id: str) -> api.Explanation:
        """Why an execution is in its state, with all that its fingerprint is made from."""
        return self._ask(core.get(core.path(_EXECUTION, execution_id=execution_id) + "/explain"), api.Explanation)

    # the cache ---------------------------------------------------------------------------------
    def list_cache(
        self,
        *,
        pipeline_name: str = "",
        task: str = "",
        run_id: str = "",
        fingerprint: str = "",
        page_size: int = 20,
        page_token: str = "",
    ) -> api.CacheList:
        """A page of the cache's entries, newest first; only those that fit what is given."""
        query = {
            "pipeline_name": pipeline_name,
            "task": task,
            "run_id": run_id,
            "fingerprint": fingerprint,
            "page_size": page_size,
            "page_token": page_token,
        }
        return self._ask(core.get("/api/cache", query), api.CacheList)

    def drop_cache(self, which: api.DropCache) -> int:
        """Forget entries that fit all that is given; how many there were."""
        return self._ask(core.post("/api/cache/drop", which), api.Dropped).dropped

    # artifacts ---------------------------------------------------------------------------------
    def get_artifact(self, artifact_id: str) -> api.ArtifactView:
        """An artifact, without its content."""
        return self._ask(core.get(core.path(_ARTIFACT, artifact_id=artifact_id)), api.ArtifactView)

    def list_members(self, artifact_id: str) -> list[api.MemberView]:
        """The files of a directory artifact."""
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/members"
        return self._ask(core.get(where), api.MemberList).members

    def artifact_link(self, artifact_id: str, *, member: str = "", download: bool = False) -> api.ContentLink:
        """A URL of the content that needs no token, good for minutes."""
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/link"
        return self._ask(core.post(where, api.CreateLink(member=member, download=download)), api.ContentLink)

    def read_artifact(self, artifact_id: str, *, member: str = "") -> Iterator[bytes]:
        """The content in pieces."""
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/content"
        return self.transport.chunks(core.get(where, {"member": member}))

    def _ask(self, request: core.Request, kind: type[T]) -> T:
        return core.read(self.transport.send(request), kind)

    def _do(self, request: core.Request) -> Any:
        core.check(self.transport.send(request))
