"""One local run, from the call to the outputs: a service in memory, on a thread of its own, until the call returns."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headrace.artifacts.object_stores import ObjectStoreConfig
from headrace.artifacts.stores import Stores
from headrace.attempt.order import LaunchOrder
from headrace.compiler.code_places import with_code_places
from headrace.descriptors import open_missing_streams
from headrace.dsl.base_component import BaseComponent
from headrace.engine.model import Execution, Kind, State
from headrace.executors.local.assemble import make_executor
from headrace.executors.local.attempt_dir import AttemptDirs
from headrace.executors.port import Executor
from headrace.local.artifacts import outputs_of
from headrace.local.config import DockerRunner, LocalConfig, current
from headrace.local.errors import LocalRunError
from headrace.local.inline import InlineExecutor
from headrace.local.screen import Screen
from headrace.local.task import LocalTask
from headrace.local.wrapping import split, with_importers
from headrace.service.access import owner
from headrace.service.errors import ServiceError
from headrace.service.service import NewRun, Service
from headrace.service.session import Session
from headrace.service.settings import Settings, default_home


def run_component(component: BaseComponent, arguments: dict[str, Any]) -> LocalTask:
    """Run a component or pipeline now, as `init` says. Calling it does the same.

    Args:
        component: The component or pipeline.
        arguments: Its inputs by name.

    Returns:
        The finished run.

    Raises:
        LocalRunError: The run did not succeed, unless `init(raise_on_error=False)` was called.
    """
    return LocalRun(current(), component, arguments).finish()


class LocalRun:
    """One running call."""

    def __init__(self, config: LocalConfig, component: BaseComponent, arguments: dict[str, Any]) -> None:
        self.config = config
        self.name = component.name
        self.arguments = arguments
        parameters, artifacts = split(arguments)
        pipeline_spec, platform_spec = component.documents()
        self.pipeline_spec = _with_variables(with_importers(pipeline_spec, artifacts), config)
        self.new = NewRun(
            display_name=self.name,
            pipeline_spec=self.pipeline_spec,
            platform_spec=with_code_places(self.pipeline_spec, platform_spec) or None,
            parameters=parameters,
            caching=None if config.enable_caching else False,
        )
        #: Orders for the calling thread; None at the end.
        self.work: queue.SimpleQueue[LaunchOrder | None] = queue.SimpleQueue()
        self.inline: InlineExecutor | None = None
        self.task: LocalTask | None = None
        self.failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancel = threading.Event()

    # the calling thread ------------------------------------------------------------------------

    def finish(self) -> LocalTask:
        """Run, and return when the run has ended. Ctrl-C cancels the run."""
        open_missing_streams()
        thread = threading.Thread(target=self._thread, name=f"headrace-local-{self.name}", daemon=True)
        thread.start()
        try:
            self._serve()
        except KeyboardInterrupt:
            self._cancel.set()
            with contextlib.suppress(KeyboardInterrupt):
                self._serve()
            raise
        finally:
            thread.join()
        if self.failure is not None:
            raise self.failure
        assert self.task is not None
        if self.task.error is not None and self.config.raise_on_error:
            raise self.task.error
        return self.task

    def _serve(self) -> None:
        while (order := self.work.get()) is not None:
            assert self.inline is not None
            self.inline.perform(order)

    # the run's own thread ----------------------------------------------------------------------

    def _thread(self) -> None:
        try:
            self.task = asyncio.run(self._run())
        except ServiceError as error:
            self.failure = LocalRunError(error.message, code=error.code, details=error.details)
        except BaseException as error:
            self.failure = error
        finally:
            self.work.put(None)

    async def _run(self) -> LocalTask:
        home = self._home()
        settings = Settings(home=home, stop_grace_s=2.0)
        if self.config.max_parallel is not None:
            settings = msgspec.structs.replace(settings, max_parallel=self.config.max_parallel)
        service = await Service.open(
            settings, executor=self._executor(settings), in_memory=not self.config.enable_caching
        )
        try:
            # Outputs of a call are read on this machine, whatever pipeline root the document has.
            new = msgspec.structs.replace(self.new, pipeline_root=str(home / "artifacts"))
            session = service.for_caller(owner())
            run = await session.create_run(new)
            await self._watch(session, run.run_id)
            return await self._result(session, run.run_id)
        finally:
            await service.close()

    def _home(self) -> Path:
        """A data directory for each run, so that calls do not wait for each other; a shared one with caching."""
        if self.config.enable_caching:
            return self.config.home
        stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
        return self.config.home / f"{self.name.replace(' ', '-').lower()}-{stamp}-{uuid.uuid4().hex[:6]}"

    def _executor(self, settings: Settings) -> Executor:
        artifacts = Stores(settings.home, ObjectStoreConfig.read(settings.home), seal_directories=False)
        processes = make_executor(
            settings.home,
            artifacts=artifacts,
            max_parallel=settings.max_parallel,
            stop_grace_s=settings.stop_grace_s,
            containers_only=isinstance(self.config.runner, DockerRunner),
            environments=default_home(),
            workspaces=self.config.workspace_root,
            warm_starts=settings.warm_starts,
        )
        if not self.config.inline:
            return processes
        self.inline = InlineExecutor(
            processes, AttemptDirs(settings.home, self.config.workspace_root), artifacts, self.work
        )
        return self.inline

    async def _watch(self, session: Session, run_id: str) -> None:
        screen = Screen(session, run_id)
        canceller = asyncio.create_task(self._cancel_when_asked(session, run_id))
        try:
            async for change in session.watch_run(run_id):
                screen.show(change)
            await screen.finish()
        finally:
            canceller.cancel()

    async def _cancel_when_asked(self, session: Session, run_id: str) -> None:
        while not self._cancel.is_set():  # noqa: ASYNC110 - set by the other thread's signal handler
            await asyncio.sleep(0.1)
        with contextlib.suppress(ServiceError):
            await session.terminate_run(run_id)

    async def _result(self, session: Session, run_id: str) -> LocalTask:
        run = await session.get_run(run_id)
        executions = await session.get_executions(run_id)
        root = next(execution for execution in executions if execution.kind is Kind.ROOT)
        succeeded = run.state is State.SUCCEEDED
        return LocalTask(
            name=self.name,
            state=run.state.value,
            inputs=dict(self.arguments),
            outputs=outputs_of(root.outputs, self._lists()) if succeeded else {},
            run_id=run_id,
            error=None if succeeded else self._error(run.state, executions),
        )

    def _lists(self) -> frozenset[str]:
        declared = self.pipeline_spec["root"].get("outputDefinitions", {}).get("artifacts", {})
        return frozenset(name for name, output in declared.items() if output.get("isArtifactList"))

    def _error(self, state: State, executions: tuple[Execution, ...]) -> LocalRunError:
        failed = [
            e for e in executions if e.state is State.FAILED and e.kind in (Kind.TASK, Kind.IMPORTER) and e.reason
        ]
        failed = failed or [e for e in executions if e.state is State.FAILED and e.reason]
        if not failed or failed[0].reason is None:
            return LocalRunError(f"{self.name} ended {state.value}.", code=f"RUN_{state.value}")
        first, reason = failed[0], failed[0].reason
        trace = str(reason.details.get("traceback", "")).rstrip()
        where = f"{self.name}: {first.path} failed: " if first.path else f"{self.name} failed: "
        message = f"{where}{reason.message}" + (f"\n{trace}" if trace else "")
        error = LocalRunError(message, code=reason.code, task=first.path, details=reason.details)
        error.__cause__ = self.inline.raised if self.inline is not None else None
        return error


def _with_variables(pipeline_spec: dict[str, Any], config: LocalConfig) -> dict[str, Any]:
    """The document with the runner's variables in every container; a task's own variables stay."""
    runner = config.runner
    if not isinstance(runner, DockerRunner) or not runner.environment:
        return pipeline_spec
    deployment = pipeline_spec.get("deploymentSpec", {})
    executors = deployment.get("executors", {})
    filled = {label: _filled(executor, runner.environment) for label, executor in executors.items()}
    return {**pipeline_spec, "deploymentSpec": {**deployment, "executors": filled}}


def _filled(executor: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    container = executor.get("container")
    if container is None:
        return executor
    own = container.get("env", [])
    taken = {variable["name"] for variable in own}
    more = [{"name": name, "value": value} for name, value in variables.items() if name not in taken]
    return {**executor, "container": {**container, "env": [*own, *more]}}
