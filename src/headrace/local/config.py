"""Settings of local runs: set by `init`, with KFP's arguments, or the defaults."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class SubprocessRunner:
    """Run Python components as processes of this machine; the default.

    KFP's settings are accepted and change nothing: environments are always isolated, made once for each set of
    packages, and shared.

    Args:
        use_venv: Accepted because KFP has it. Default: True.
        serialize_pip_installs: Accepted because KFP has it. Default: True.
        max_concurrent_pip_installs: Accepted because KFP has it. Default: 1.
    """

    use_venv: bool = True
    serialize_pip_installs: bool = True
    max_concurrent_pip_installs: int = 1


class DockerRunner:
    """Run every component in a container of its image, with podman or docker.

    Args:
        max_concurrent_pip_installs: Accepted because KFP has it. Default: 1.
        environment: Variables of every container: a dict, or a list of `NAME=value`. Those that a task sets itself go
            before. Default: None.
        **container_run_args: Other settings of the container. None is supported: set them on the task.

    Raises:
        ValueError: Another setting of the container was given, or the environment is not of that form.

    Example:
        >>> from headrace import local
        >>> local.DockerRunner(environment={"STAGE": "test"}).environment
        {'STAGE': 'test'}
    """

    def __init__(
        self,
        max_concurrent_pip_installs: int = 1,
        environment: Mapping[str, str] | Sequence[str] | None = None,
        **container_run_args: Any,
    ) -> None:
        refused = sorted({"image", "command", "volumes"} & container_run_args.keys())
        if refused:
            raise ValueError(f"{', '.join(refused)}: set by the component, not by DockerRunner. Leave it out.")
        if container_run_args:
            names = ", ".join(sorted(container_run_args))
            raise ValueError(f"DockerRunner takes no container settings yet (got {names}); set them on the task.")
        self.max_concurrent_pip_installs = max_concurrent_pip_installs
        self.environment = _environment(environment or {})


def _environment(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    pairs = given.items() if isinstance(given, Mapping) else [_pair(item) for item in given]
    found = dict(pairs)
    for name, value in found.items():
        if not isinstance(name, str) or not name or not isinstance(value, str):
            raise ValueError(f"environment={{{name!r}: {value!r}}}: names and values of variables are texts.")
    return found


def _pair(item: object) -> tuple[str, str]:
    name, equals, value = item.partition("=") if isinstance(item, str) else ("", "", "")
    if not equals:
        raise ValueError(f"environment=[{item!r}]: write NAME=value, or give a dict.")
    return name, value


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """How components and pipelines run when they are called. See `init`, which makes it.

    Args:
        runner: What runs the components. Default: `SubprocessRunner()`.
        pipeline_root: The folder for what runs make. Default: `local_outputs`.
        workspace_root: The folder for the workspaces of runs that ask for one; it is never deleted. Default: None:
            inside the run's own folder.
        raise_on_error: Whether a failed run raises LocalRunError. Default: True.
        enable_caching: Whether results of earlier runs are reused. Default: False.
        cache_root: The folder for runs with caching. Default: `pipeline_root`.
        inline: Whether Python components run in this process. Default: False.
        max_parallel: How many tasks may run at the same time. Default: None: as many as there are cores.
    """

    runner: SubprocessRunner | DockerRunner = SubprocessRunner()
    pipeline_root: Path = Path("local_outputs")
    #: Has a folder for each run with a workspace; None: inside the run's own folder. Never deleted.
    workspace_root: Path | None = None
    raise_on_error: bool = True
    enable_caching: bool = False
    cache_root: Path | None = None
    inline: bool = False
    max_parallel: int | None = None

    @property
    def home(self) -> Path:
        """The folder in which runs keep what they make, as an absolute path."""
        root = self.cache_root if self.enable_caching and self.cache_root else self.pipeline_root
        return root.expanduser().absolute()


_lock = threading.Lock()
_current = LocalConfig()
_listeners: list[Callable[[], None]] = []


def current() -> LocalConfig:
    """What `init` was last called with."""
    with _lock:
        return _current


def on_change(listener: Callable[[], None]) -> None:
    """Call `listener` after each `init`."""
    _listeners.append(listener)


def init(
    runner: SubprocessRunner | DockerRunner | None = None,
    pipeline_root: str | Path = "./local_outputs",
    workspace_root: str | Path | None = None,
    raise_on_error: bool = True,
    enable_caching: bool = False,
    cache_root: str | Path | None = None,
    *,
    inline: bool = False,
    max_parallel: int | None = None,
) -> None:
    """Set how components and pipelines run when they are called outside a pipeline.

    It may be called again; without any call the defaults hold. Takes the arguments of `kfp.local.init`, and two
    more.

    Args:
        runner: What runs the components: `SubprocessRunner()`, or `DockerRunner()` for containers. Default:
            `SubprocessRunner()`.
        pipeline_root: The folder for what runs make; each run has a folder in it. Default: `./local_outputs`.
        workspace_root: The folder for the workspaces of runs that ask for one; it is never deleted. Default: None:
            inside the run's own folder.
        raise_on_error: Whether a failed run raises LocalRunError. Otherwise its `.state` says so. Default: True.
        enable_caching: Whether results of earlier runs are reused. Default: False.
        cache_root: The folder for runs with caching, which share it. Default: `pipeline_root`.
        inline: Whether Python components run in this process, one after the other, so that a debugger stops in
            them. Packages come from this process's environment. Default: False.
        max_parallel: How many tasks may run at the same time, 1 or more. Default: None: as many as there are cores.

    Raises:
        ValueError: `max_parallel` is less than 1.

    Example:
        >>> from headrace import local
        >>> local.init(inline=True)
        >>> local.init()
    """
    global _current
    if max_parallel is not None and max_parallel < 1:
        raise ValueError(f"max_parallel must be at least 1, not {max_parallel}.")
    with _lock:
        _current = LocalConfig(
            runner=runner or SubprocessRunner(),
            pipeline_root=Path(pipeline_root),
            workspace_root=None if workspace_root is None else Path(workspace_root).expanduser().absolute(),
            raise_on_error=raise_on_error,
            enable_caching=enable_caching,
            cache_root=None if cache_root is None else Path(cache_root),
            inline=inline,
            max_parallel=max_parallel,
        )
    for listener in _listeners:
        listener()
