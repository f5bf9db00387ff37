"""Tasks in containers of podman or docker, as child processes of an attempt's supervisor like any other.

The engine's client runs in the foreground under the supervisor, so its exit status is the user's,
its output goes to the attempt's log, and it outlives us. Inside, everything of the attempt lies
under `/headrace`, whatever the image holds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import headrace
from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.codes import Code
from headrace.attempt.fetch import Fetched, fetch
from headrace.attempt.layout import INSIDE, SOURCE_FILE
from headrace.attempt.order import ContainerOrder, LaunchOrder
from headrace.attempt.python_task import Program, python_entry, write_source
from headrace.attempt.refusal import Refusal
from headrace.attempt.rendering import render_container
from headrace.attempt.workspace import MOUNT, uses_workspace
from headrace.engine.model import Json, Reason
from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.cgroups import Limits
from headrace.executors.local.code_folders import CodeFolders
from headrace.executors.local.command import AttemptMeta, Command
from headrace.executors.local.limits import Allowance, out_of_memory
from headrace.executors.local.python import PYTHON_VARIABLES
from headrace.executors.local.resources import resources_of
from headrace.executors.local.tools import run_tool
from headrace.spec.bootstrap import PythonEntry

_ENGINES = ("podman", "docker")
#: Where our own package is shown inside.
_PACKAGE = f"{INSIDE.root}/python/headrace"
_KEPT_LINES = 12
_REMOVALS = 20
_BETWEEN_REMOVALS_S = 0.1
#: A tag may be moved at any time; many tasks that ask at once get one answer.
_DIGEST_HOLDS_S = 0.5
_GONE_FOR_GOOD = re.compile(
    r"manifest unknown|not found|did not resolve|denied|unauthorized|invalid reference", re.IGNORECASE
)
#: Installs the user's packages, then becomes the runtime. `$0` is the runtime, `$1` the request, the rest for pip.
_INSTALL_AND_RUN = (
    'request=$1; shift; python3 -m pip install --quiet --no-warn-script-location "$@"; exec python3 "$0" "$request"'
)


class ContainerCommandBuilder:
    """Builds commands of orders that need their image."""

    def __init__(self, engine: str, code: CodeFolders, allowance: Allowance, artifacts: ArtifactAccess) -> None:
        self._engine = engine
        self._allowance = allowance
        self._code = code
        self._artifacts = artifacts
        self._known: dict[str, tuple[float, str]] = {}
        self._pulling: dict[str, asyncio.Lock] = {}

    async def build(
        self, order: LaunchOrder, attempt_dir: AttemptDir, waiting: Callable[[Reason], None]
    ) -> tuple[Command, AttemptMeta]:
        """See CommandBuilder."""
        container, entry = order.container, python_entry(order)
        if container is None:
            raise Refusal(Code.ORDER_INVALID, "This task has no container.", retryable=False)
        engine = self._find_engine(container.image)
        mounts = Mounts()
        mounts.add(attempt_dir.outputs, INSIDE.outputs, read_only=False)
        program = await self._show_program(entry, attempt_dir, mounts) if entry else None
        fetched = await fetch(order, attempt_dir, self._artifacts, inside=INSIDE, program=program, waiting=waiting)
        attempt_dir.log_problems(fetched.inputs)
        for path, shown in fetched.mounts.items():
            mounts.add(path, shown)
        if uses_workspace(order):
            mounts.add(attempt_dir.workspace, MOUNT, read_only=False)
        _open_to_all(attempt_dir.outputs)
        spec = _spec(entry, container, fetched, attempt_dir)
        digest = await self._have_image(engine, spec.image, waiting)
        name = container_name(attempt_dir)
        env_file, inherited = _write_variables(spec.env, attempt_dir)
        applied = self._allowance.limits(resources_of(spec.resources))
        argv = (engine, "run", "--name", name, *_OPTIONS, *_limits(applied.limits), *mounts.arguments(), *env_file)
        argv = (*argv, *_entrypoint(spec), spec.image, *spec.command[1:], *spec.args)
        command = Command(argv=argv, env={**_engine_environment(), **inherited})
        return command, AttemptMeta(
            builder="container",
            outputs_seen_at=str(INSIDE.outputs),
            inputs_seen_at=fetched.seen,
            fetched_paths=tuple(fetched.inputs.paths.values()),
            container=name,
            surroundings={"image digest": digest},
        )

    async def _show_program(self, entry: PythonEntry, attempt_dir: AttemptDir, mounts: Mounts) -> Program:
        """Show the component's source and modules, and our own package, read-only."""
        attempt_dir.source.mkdir(exist_ok=True)
        write_source(attempt_dir.source / SOURCE_FILE, entry)
        mounts.add(attempt_dir.source, INSIDE.source)
        code = await self._code.get(entry)
        if code is not None:
            mounts.add(code, INSIDE.code)
        mounts.add(Path(headrace.__file__).parent, _PACKAGE)
        return Program(source=f"{INSIDE.source}/{SOURCE_FILE}", code=str(INSIDE.code) if code else "")

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See CommandBuilder. An image that is not here yet counts by its name."""
        image = order.container.image if order.container else ""
        engine = shutil.which(self._engine) if self._engine else _first_engine()
        digest = await self._digest(engine, image) if engine and _is_image(image) else ""
        return {"image digest": digest or f"not here yet: {image}"}

    async def remove_container(self, meta: AttemptMeta) -> None:
        """See CommandBuilder."""
        engine = shutil.which(self._engine) if self._engine else _first_engine()
        if engine is None:
            return
        # An engine whose client was killed while it made the container may not know of it yet, or not let go of it.
        for _ in range(_REMOVALS):
            # podman's `rm --force` asks politely for ten seconds first; the grace has been given already.
            await _ask(engine, "kill", meta.container)
            await _ask(engine, "rm", "--force", meta.container)
            known, _ = await _ask(engine, "container", "inspect", "--format", "{{.Id}}", meta.container)
            left = await asyncio.to_thread(_monitors_of, meta.container)
            if known != 0 and not left:
                return
            await asyncio.sleep(_BETWEEN_REMOVALS_S)
        # Only podman's monitor knows it any more: end the monitor and what is below it.
        await asyncio.to_thread(processes.end, lambda: processes.descendants(_monitors_of(meta.container)), None)

    async def cause_of_death(self, meta: AttemptMeta, status: int | None) -> Reason | None:
        """See CommandBuilder. A container with a limit of memory stays until it was asked what it died of."""
        engine = shutil.which(self._engine) if self._engine else _first_engine()
        if engine is None or meta.applied.limits.memory_bytes is None:
            return None
        _, said = await _ask(engine, "container", "inspect", "--format", "{{.State.OOMKilled}}", meta.container)
        await _ask(engine, "rm", "--force", meta.container)
        return out_of_memory(meta.applied, None) if status and said.strip() == "true" else None

    def explain_status(self, meta: AttemptMeta, status: int, log_end: str) -> Reason | None:
        """See CommandBuilder. The engine's own statuses: 125 (it failed), 126 and 127 (the command cannot be run)."""
        said = "\n".join(log_end.strip().splitlines()[-_KEPT_LINES:])
        details: dict[str, Json] = {"exit_code": status}
        if status == 125 and "rror" in said:
            return Reason(
                code=Code.CONTAINER_FAILED, message=f"The container could not be run:\n{said}", details=details
            )
        if status in (126, 127) and "rlimit" in said:
            # Not the command's fault: podman's defaults ask for more than root may have, say, in a container.
            message = (
                f"The engine may not give a container the limits that it gives by default:\n{said}\nLet it give less: "
                'in containers.conf, below [containers], default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"].'
            )
            return Reason(code=Code.CONTAINER_FAILED, message=message, details=details)
        if status in (126, 127):
            message = f"The command cannot be run in this image (exit status {status}):\n{said}"
            return Reason(code=Code.COMMAND_NOT_FOUND, message=message, details=details)
        return None

    # engine and image -------------------------------------------------------------------------

    def _find_engine(self, image: str) -> str:
        found = shutil.which(self._engine) if self._engine else _first_engine()
        if found is not None:
            return found
        wanted = f"the container engine {self._engine!r}" if self._engine else "podman or docker"
        message = (
            f"This task runs in the container image {image}, which needs {wanted}, and that is not installed here. "
            "Install podman (Debian, Ubuntu: apt-get install podman; Fedora: dnf install podman; macOS: brew install "
            "podman) or docker, or write the task as a Python component, which needs none."
        )
        raise Refusal(Code.CONTAINER_ENGINE_MISSING, message, retryable=False, image=image)

    async def _have_image(self, engine: str, image: str, waiting: Callable[[Reason], None]) -> str:
        """Fetch the image if it is not here; its digest."""
        if not _is_image(image):
            raise Refusal(Code.ORDER_INVALID, f"{image!r} is not the name of an image.", retryable=False)
        digest = await self._digest(engine, image)
        if not digest:
            async with self._pulling.setdefault(f"pull {image}", asyncio.Lock()):
                digest = await self._digest(engine, image)
                if not digest:
                    await self._pull(engine, image, waiting)
                    digest = await self._digest(engine, image)
        return digest

    async def _digest(self, engine: str, image: str) -> str:
        """Of the image that the engine has by this name now; "" when it has none. Not remembered for long."""
        async with self._pulling.setdefault(image, asyncio.Lock()):
            at, digest = self._known.get(image, (0.0, ""))
            if not digest or time.monotonic() - at > _DIGEST_HOLDS_S:
                status, said = await _ask(engine, "image", "inspect", "--format", "{{.Id}}", image)
                words = said.split()
                digest = words[-1].removeprefix("sha256:") if status == 0 and words else ""
                self._known[image] = (time.monotonic(), digest)
            return f"sha256:{digest}" if digest else ""

    async def _pull(self, engine: str, image: str, waiting: Callable[[Reason], None]) -> None:
        waiting(Reason(code=Code.PULLING_IMAGE, message=f"Fetching the image {image}.", details={"image": image}))
        status, said = await _ask(engine, "pull", image)
        if status != 0:
            last = "\n".join(said.strip().splitlines()[-_KEPT_LINES:])
            message = f"The image {image} is not here and cannot be fetched:\n{last}"
            lasting = bool(_GONE_FOR_GOOD.search(said))
            raise Refusal(Code.IMAGE_NOT_FOUND, message, retryable=not lasting, image=image)


def _is_image(name: str) -> bool:
    return bool(name) and not name.startswith("-")


class Mounts:
    """What of this machine the container sees, and where."""

    def __init__(self) -> None:
        self._mounts: list[tuple[str, str, bool]] = []

    def add(self, path: Path | str, inside: Path | str, *, read_only: bool = True) -> None:
        """Show a path of this machine."""
        self._mounts.append((str(path), str(inside), read_only))

    def arguments(self) -> list[str]:
        """For the engine's command line."""
        return [
            word
            for path, inside, read_only in self._mounts
            for word in (
                "--mount",
                _csv("type=bind", f"src={path}", f"dst={inside}", *(["ro=true"] if read_only else [])),
            )
        ]


#: No second copy of the log, no pull behind our back, bind mounts also where SELinux rules.
_OPTIONS = ("--log-driver=none", "--pull=never", "--security-opt", "label=disable")


def _csv(*fields: str) -> str:
    """Engines read mounts as a line of CSV."""
    return ",".join('"' + field.replace('"', '""') + '"' if set(field) & set(',"') else field for field in fields)


def _first_engine() -> str | None:
    return next((found for name in _ENGINES if (found := shutil.which(name))), None)


def container_name(attempt_dir: AttemptDir) -> str:
    """Follows from the attempt, so that the engine itself refuses a second one."""
    return "headrace-" + hashlib.sha256(attempt_dir.tag.encode()).hexdigest()[:24]


def _entrypoint(spec: ContainerOrder) -> tuple[str, ...]:
    return ("--entrypoint", spec.command[0]) if spec.command else ()


def _spec(
    entry: PythonEntry | None, container: ContainerOrder, fetched: Fetched, attempt_dir: AttemptDir
) -> ContainerOrder:
    """What is run in the image. Its Python runs our runtime, instead of fetching kfp with pip."""
    if entry is None:
        return render_container(container, fetched.document, fetched.order.facts, fetched.paths)
    asked = msgspec.structs.replace(container, command=(), args=())
    spec = render_container(asked, fetched.document, fetched.order.facts, fetched.paths)
    attempt_dir.request.write_bytes(fetched.request)
    runtime, request = f"{_PACKAGE}/runtime/main.py", str(INSIDE.request)
    command: tuple[str, ...] = ("python3", runtime, request)
    if entry.requirements:
        command = ("sh", "-ec", _INSTALL_AND_RUN, runtime, request, *_pip_arguments(entry))
    return msgspec.structs.replace(spec, command=command, env={**PYTHON_VARIABLES, **spec.env})


def _pip_arguments(entry: PythonEntry) -> list[str]:
    first = [f"--index-url={url}" for url in entry.index_urls[:1]]
    extra = [f"--extra-index-url={url}" for url in entry.index_urls[1:]]
    hosts = [f"--trusted-host={host}" for host in entry.trusted_hosts]
    return [*first, *extra, *hosts, *entry.requirements]


def _open_to_all(directory: Path) -> None:
    """The image's user is not ours; outsiders are kept out by the data directory's own permissions."""
    directory.chmod(0o777)
    for child in directory.iterdir():
        child.chmod(0o777)


def _write_variables(env: Mapping[str, str], attempt_dir: AttemptDir) -> tuple[tuple[str, ...], dict[str, str]]:
    """Variables go by a file of ours, never by the command line, which everybody on the machine can read.

    What such a file cannot say (line breaks) is handed on from the client's own environment.
    """
    plain = {name: value for name, value in env.items() if "\n" not in value and "\r" not in value}
    rest = {name: value for name, value in env.items() if name not in plain}
    file = attempt_dir.root / "variables"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.writelines(f"{name}={value}\n" for name, value in plain.items())
    inherit = [word for name in rest for word in ("--env", name)]
    return ("--env-file", str(file), *inherit), rest


def _limits(limits: Limits) -> list[str]:
    words = []
    if limits.processes is not None:
        words.append(f"--pids-limit={limits.processes}")
    if limits.cpus is not None:
        words.append(f"--cpus={limits.cpus:g}")
    if limits.memory_bytes is None:
        return ["--rm", *words]
    # Without swap, and kept for a moment after its end: only then does the engine say whether memory was the cause.
    return [f"--memory={limits.memory_bytes}", f"--memory-swap={limits.memory_bytes}", *words]


def _monitors_of(name: str) -> set[int]:
    """podman's monitors of a container, which are its processes' parents; docker has its own in its service."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"conmon") and name.encode() in words:
            found.add(int(pid))
    return found


def _engine_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}


async def _ask(engine: str, *arguments: str) -> tuple[int, str]:
    """Run the engine's client; `(exit status, all it said)`."""
    return await run_tool(engine, *arguments, env=_engine_environment())
