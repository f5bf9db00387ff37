"""The client of our own API: runs, live changes, logs, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headrace.client import core
from headrace.client.recurring_runs import RecurringRunApi
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


class Headrace(RecurringRunApi):
    """The client of Headrace's own API: runs, recurring runs, live changes, logs, artifacts, the cache.

    Every method raises ApiError when the server refuses the request, and ServerUnreachable when it does not answer.
    Shapes of requests and answers are in `headrace.wire.api`.

    Args:
        url: The server's address. Default: `$HEADRACE_URL`, else the server that runs over the data directory.
        token: The server's token. Default: `$HEADRACE_TOKEN`, else the token of the data directory, for its own
            server.
        home: The data directory. Default: `$HEADRACE_HOME`, else `~/.headrace`.
        timeout_s: How long to wait for an answer, in seconds. Default: 60.
        transport: What sends the requests, instead of an address. Default: none.

    Raises:
        ServerUnreachable: No address was given and no server runs over the data directory.

    Example:
        from headrace.client import Headrace

        headrace = Headrace()
        for run in headrace.list_runs(state="FAILED").runs:
            print(run.run_id, run.display_name)
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
        """Close the connection to the server. The client opens a new one when it is used again."""
        self.transport.close()

    # session -----------------------------------------------------------------------------------
    def healthy(self) -> bool:
        """Ask whether the server answers and is healthy.

        Returns:
            True if it is. A server that does not answer is not.
        """
        try:
            return self.transport.send(core.get("/healthz")).status == 200
        except ConnectionError:
            return False

    def session(self) -> api.SessionView:
        """Who this client is to the server, and what kind of server it is."""
        return self._ask(core.get("/api/session"), api.SessionView)

    def sign_in_link(self) -> api.SignInLink:
        """Make a link that signs one browser in to the web UI. It works once."""
        return self._ask(core.post("/api/session/link"), api.SignInLink)

    def list_sessions(self) -> list[api.BrowserSessionView]:
        """The browsers that are signed in to the web UI, newest first."""
        return self._ask(core.get("/api/sessions"), api.BrowserSessionList).sessions

    def end_session(self, session_id: str) -> None:
        """Sign one browser out.

        Args:
            session_id: Which session, as `list_sessions` names it.

        Raises:
            ApiError: SESSION_NOT_FOUND: it has ended already.
        """
        self._ask(core.delete(core.path("/api/sessions/{session_id}", session_id=session_id)), api.SignedOut)

    def end_sessions(self) -> int:
        """Sign all browsers out.

        Returns:
            How many were signed in.
        """
        return self._ask(core.delete("/api/sessions"), api.SignedOut).ended

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
        """A page of runs, newest first.

        Args:
            page_size: How many runs there are on a page at most. Default: 20.
            page_token: `next_page_token` of the page before. Default: the first page.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: newest first.
            filter: A filter in KFP's JSON form (predicates). Default: none.
            state: Only runs in these states: one or several, with commas, such as `FAILED,CANCELED`. Default: all.
            storage_state: `AVAILABLE` or `ARCHIVED`. Default: both.
            experiment_id: Only runs of this experiment. Default: all.
            search: Only runs whose name contains this text. Default: all.

        Returns:
            The runs, how many there are on all pages, and the token of the next page.
        """
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
        """Start a run.

        Args:
            run: The document or an uploaded version, with parameters and settings.

        Returns:
            The run; it has its id.
        """
        return self._ask(core.post_once("/api/runs", run), api.RunSummary)

    def get_run(self, run_id: str) -> api.RunView:
        """A run with its graph and all its executions.

        Args:
            run_id: The run's id.

        Returns:
            The run.
        """
        where = core.path(_RUN, run_id=run_id)
        view = self._ask(core.get(where), api.RunView)
        executions, token = list(view.executions), view.next_page_token
        while token:
            page = self._ask(core.get(f"{where}/executions", {"page_token": token}), api.ExecutionPage)
            executions += page.executions
            token = page.next_page_token
        return msgspec.structs.replace(view, executions=executions, next_page_token="")

    def terminate_run(self, run_id: str) -> None:
        """Cancel a run: its tasks are stopped. A run that has ended stays as it is.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/terminate"))

    def retry_run(self, run_id: str) -> None:
        """Run the failed parts of a finished run again, in the same run.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/retry"))

    def get_document(self, run_id: str) -> api.DocumentView:
        """The document that a run was made from.

        Args:
            run_id: The run's id.

        Returns:
            The document as a text, and as the parts of which it consists.
        """
        return self._ask(core.get(core.path(_RUN, run_id=run_id) + "/document"), api.DocumentView)

    def rerun_run(self, run_id: str, wanted: api.RerunRun) -> api.RunSummary:
        """Make a new run from an earlier one; results that are not affected are reused.

        Args:
            run_id: The run's id.
            wanted: From which tasks to run again, with which parameters or document.

        Returns:
            The new run.
        """
        return self._ask(core.post_once(core.path(_RUN, run_id=run_id) + "/rerun", wanted), api.RunSummary)

    def mark_execution(self, run_id: str, execution_id: str, wanted: api.MarkExecution) -> None:
        """Mark a task as succeeded, with outputs, or as skipped, without running it.

        Args:
            run_id: The run's id.
            execution_id: The execution of the task.
            wanted: The state, and the outputs if it is `SUCCEEDED`.
        """
        where = core.path(_RUN + "/executions/{execution_id}/mark", run_id=run_id, execution_id=execution_id)
        self._do(core.post(where, wanted))

    def pause_run(self, run_id: str) -> None:
        """Pause a run: no further task starts. Tasks that are running go on.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/pause"))

    def resume_run(self, run_id: str) -> None:
        """Resume a run that was paused.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/resume"))

    def archive_run(self, run_id: str) -> None:
        """Archive a run: lists do not show it any more. Nothing is deleted.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/archive"))

    def unarchive_run(self, run_id: str) -> None:
        """Bring an archived run back into the lists.

        Args:
            run_id: The run's id.
        """
        self._do(core.post(core.path(_RUN, run_id=run_id) + "/unarchive"))

    def delete_run(self, run_id: str) -> None:
        """Delete a run and what it made, apart from what other runs reuse.

        Args:
            run_id: The run's id.
        """
        self._do(core.delete(core.path(_RUN, run_id=run_id)))

    def watch_run(self, run_id: str, *, patience_s: float = 30.0) -> Iterator[api.RunChange]:
        """Follow a run until it has ended: first the run as it is, then each change.

        Args:
            run_id: The run's id.
            patience_s: How long to try again after the connection was lost, in seconds. Default: 30.

        Returns:
            An iterator of changes. It ends with the run.
        """
        request = core.get(core.path(_RUN, run_id=run_id) + "/events")
        for event in self.transport.events(request, patience_s=patience_s):
            if event.event == "change":
                yield msgspec.json.decode(event.data, type=api.RunChange)

    def watch_runs(self, *, patience_s: float = 30.0) -> Iterator[api.ListChange]:
        """Follow all runs: their summaries as they change, without end.

        Args:
            patience_s: How long to try again after the connection was lost, in seconds. Default: 30.

        Returns:
            An iterator of changes.
        """
        for event in self.transport.events(core.get("/api/events"), patience_s=patience_s):
            if event.event == "runs":
                yield msgspec.json.decode(event.data, type=api.ListChange)

    # executions --------------------------------------------------------------------------------
    def get_execution(self, execution_id: str) -> api.ExecutionDetail:
        """Everything about one execution: inputs, outputs, attempts, container, source.

        Args:
            execution_id: The execution's id.

        Returns:
            The execution.
        """
        return self._ask(core.get(core.path(_EXECUTION, execution_id=execution_id)), api.ExecutionDetail)

    def read_log(
        self, execution_id: str, *, attempt: int | None = None, offset: int = 0, limit: int | None = None
    ) -> LogPart:
        """Read a part of an attempt's log.

        Args:
            execution_id: The execution's id.
            attempt: The attempt's number, from 1. Default: None: the latest.
            offset: The first byte; a negative number counts from the end of the log. Default: 0.
            limit: How many bytes at most. Default: None: as many as the server sends at once.

        Returns:
            The bytes, the offset of the byte after them, and the length of the whole log.
        """
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
        """Follow an attempt's log as it is written, until the attempt has ended.

        Args:
            execution_id: The execution's id.
            attempt: The attempt's number, from 1. Default: None: the latest.
            offset: The first byte; a negative number counts from the end of the log. Default: 0.
            patience_s: How long to try again after the connection was lost, in seconds. Default: 30.

        Returns:
            An iterator of pieces of the log.
        """
        query = {"attempt": attempt, "offset": offset or None}
        request = core.get(core.path(_EXECUTION, execution_id=execution_id) + "/logs/stream", query)
        for event in self.transport.events(request, patience_s=patience_s):
            if event.event == "log":
                yield msgspec.json.decode(event.data, type=api.LogChunk)

    # why ---------------------------------------------------------------------------------------
    def explain_run(self, run_id: str, *, limit: int | None = None) -> api.RunExplanation:
        """Explain why a run is in its state, and what its tasks wait for.

        Args:
            run_id: The run's id.
            limit: How many tasks to explain at most. Default: None: as many as the server does at once.

        Returns:
            The explanation.
        """
        return self._ask(core.get(core.path(_RUN, run_id=run_id) + "/explain", {"limit": limit}), api.RunExplanation)

    def explain_execution(self, execution_id: str) -> api.Explanation:
        """Explain why an execution is in its state, and what its cache fingerprint is made of.

        Args:
            execution_id: The execution's id.

        Returns:
            The explanation.
        """
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
        """A page of the cache's entries, newest first.

        Args:
            pipeline_name: Only entries of this pipeline. Default: all.
            task: Only entries of this task. Default: all.
            run_id: Only entries that this run made. Default: all.
            fingerprint: Only the entry with this fingerprint. Default: all.
            page_size: How many entries there are on a page at most. Default: 20.
            page_token: `next_page_token` of the page before. Default: the first page.

        Returns:
            The entries, and the token of the next page.
        """
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
        """Delete entries of the cache, so that their tasks run again.

        Args:
            which: Which entries: those that match everything that is given.

        Returns:
            How many entries were deleted.
        """
        return self._ask(core.post("/api/cache/drop", which), api.Dropped).dropped

    # artifacts ---------------------------------------------------------------------------------
    def get_artifact(self, artifact_id: str) -> api.ArtifactView:
        """An artifact, without its content.

        Args:
            artifact_id: The artifact's id.

        Returns:
            The artifact: name, type, URI, size, digest, metadata.
        """
        return self._ask(core.get(core.path(_ARTIFACT, artifact_id=artifact_id)), api.ArtifactView)

    def list_members(self, artifact_id: str) -> list[api.MemberView]:
        """The files of an artifact that is a folder.

        Args:
            artifact_id: The artifact's id.

        Returns:
            The files, with their sizes.
        """
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/members"
        return self._ask(core.get(where), api.MemberList).members

    def artifact_link(self, artifact_id: str, *, member: str = "", download: bool = False) -> api.ContentLink:
        """Make a link to the content of an artifact that works without a token for some minutes.

        Args:
            artifact_id: The artifact's id.
            member: A file of an artifact that is a folder. Default: the artifact itself.
            download: Whether a browser saves the content instead of showing it. Default: False.

        Returns:
            The link, and when it expires.
        """
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/link"
        return self._ask(core.post(where, api.CreateLink(member=member, download=download)), api.ContentLink)

    def read_artifact(self, artifact_id: str, *, member: str = "") -> Iterator[bytes]:
        """Read the content of an artifact piece by piece.

        Args:
            artifact_id: The artifact's id.
            member: A file of an artifact that is a folder. Default: the artifact itself.

        Returns:
            An iterator of bytes.
        """
        where = core.path(_ARTIFACT, artifact_id=artifact_id) + "/content"
        return self.transport.chunks(core.get(where, {"member": member}))

    def _do(self, request: core.HttpRequest) -> Any:
        core.check(self.transport.send(request))
