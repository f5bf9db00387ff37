"""Settings of a whole pipeline."""

from __future__ import annotations

from typing import Any

from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.spec.quantities import QuantityError, read_bytes

_INT32_MAX = 2**31 - 1


class KubernetesWorkspaceConfig:
    """How the volume claim of a workspace differs from the cluster's default.

    Args:
        pvcSpecPatch: Fields of Kubernetes' `PersistentVolumeClaimSpec`, such as `accessModes` or `storageClassName`.
            Default: none.
    """

    def __init__(self, pvcSpecPatch: dict[str, Any] | None = None) -> None:  # noqa: N803 (the wire's name)
        self.pvcSpecPatch = pvcSpecPatch or {}

    def set_pvcSpecPatch(self, patch: dict[str, Any]) -> None:  # noqa: N802
        """Replace the fields that differ from the cluster's default.

        Args:
            patch: Fields of Kubernetes' `PersistentVolumeClaimSpec`.
        """
        self.pvcSpecPatch = patch


class WorkspaceConfig:
    """A folder that all tasks of a run share. Pass `dsl.WORKSPACE_PATH_PLACEHOLDER` to a component to use it.

    Args:
        size: How much it may hold, as a Kubernetes quantity of bytes: `10Gi`, `500Mi`, `1e9`. A task after which it
            holds more fails (`WORKSPACE_FULL`).
        kubernetes: Settings of the volume claim on Kubernetes. Default: those of the cluster.

    Raises:
        DslValueError: The size is empty (`WORKSPACE_SIZE_MISSING`) or not a quantity (`WORKSPACE_SIZE_INVALID`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def download(folder: str):
        ...     with open(f"{folder}/data.csv", "w") as file:
        ...         file.write("1,2")
        >>> @dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
        ... def sharing():
        ...     download(folder=dsl.WORKSPACE_PATH_PLACEHOLDER)
    """

    def __init__(self, size: str, kubernetes: KubernetesWorkspaceConfig | None = None) -> None:
        self.size = size
        self.kubernetes = kubernetes or KubernetesWorkspaceConfig()

    @property
    def size(self) -> str:
        """How much the workspace may hold, as a Kubernetes quantity of bytes such as `10Gi`."""
        return self._size

    @size.setter
    def size(self, size: str) -> None:
        text = str(size).strip() if size else ""
        if not text:
            raise DslValueError("Workspace size is required and cannot be empty.", code="WORKSPACE_SIZE_MISSING")
        try:
            read_bytes(text)
        except QuantityError:
            raise DslValueError(
                f'Workspace size "{size}" is invalid: it is not a Kubernetes resource quantity.',
                code="WORKSPACE_SIZE_INVALID",
                hint='write a number with a unit, such as "10Gi" or "500Mi".',
            ) from None
        self._size = text

    def get_workspace(self) -> dict[str, Any]:
        """The settings as the document writes them."""
        workspace: dict[str, Any] = {"size": self.size}
        if self.kubernetes:
            workspace["kubernetes"] = {"pvcSpecPatch": self.kubernetes.pvcSpecPatch}
        return workspace

    def set_size(self, size: str) -> None:
        """Change how much the workspace may hold.

        Args:
            size: A Kubernetes quantity of bytes, such as `10Gi`.

        Raises:
            DslValueError: The size is empty (`WORKSPACE_SIZE_MISSING`) or not a quantity (`WORKSPACE_SIZE_INVALID`).
        """
        self.size = size

    def set_kubernetes_config(self, kubernetes_config: KubernetesWorkspaceConfig) -> None:
        """Change the settings of the volume claim on Kubernetes.

        Args:
            kubernetes_config: The settings.
        """
        self.kubernetes = kubernetes_config


def _checked_seconds(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise DslTypeError(f"{name} must be an int. Got: {type(value).__name__}", code="SECONDS_NOT_INT")
    if value < 0:
        raise DslValueError(f"{name} must be a non-negative integer. Got: {value}", code="SECONDS_NEGATIVE")
    if value > _INT32_MAX:
        raise DslValueError(f"{name} must not exceed {_INT32_MAX}. Got: {value}", code="SECONDS_TOO_LARGE")
    return value


class PipelineConfig:
    """Settings of a pipeline's runs. Pass it to `dsl.pipeline(pipeline_config=...)`.

    Args:
        workspace: A folder that all tasks of a run share. Default: none.
        ttl_seconds_after_finished: How long a run that has ended keeps its working files and logs, in seconds.
            Default: as the server is configured.
        ttl_seconds_after_success: The same for runs that succeeded. Default: `ttl_seconds_after_finished`.
        ttl_seconds_after_failure: The same for runs that failed. Default: `ttl_seconds_after_finished`.
        active_deadline_seconds: How long a run may take, in seconds; then it fails and its tasks are stopped. Default:
            no limit.

    Raises:
        DslTypeError: A number of seconds is not an int (`SECONDS_NOT_INT`).
        DslValueError: It is negative (`SECONDS_NEGATIVE`) or above 2147483647 (`SECONDS_TOO_LARGE`).
    """

    def __init__(
        self,
        workspace: WorkspaceConfig | None = None,
        ttl_seconds_after_finished: int | None = None,
        ttl_seconds_after_success: int | None = None,
        ttl_seconds_after_failure: int | None = None,
        active_deadline_seconds: int | None = None,
    ) -> None:
        self.workspace = workspace
        self.ttl_seconds_after_finished = _checked_seconds("ttl_seconds_after_finished", ttl_seconds_after_finished)
        self.ttl_seconds_after_success = _checked_seconds("ttl_seconds_after_success", ttl_seconds_after_success)
        self.ttl_seconds_after_failure = _checked_seconds("ttl_seconds_after_failure", ttl_seconds_after_failure)
        self.active_deadline_seconds = _checked_seconds("active_deadline_seconds", active_deadline_seconds)
