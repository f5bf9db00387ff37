"""Settings of a whole pipeline."""

from __future__ import annotations

from typing import Any

from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.spec.quantities import QuantityError, read_bytes

_INT32_MAX = 2**31 - 1


class KubernetesWorkspaceConfig:
    """How the workspace's volume claim differs from the cluster's default."""

    def __init__(self, pvcSpecPatch: dict[str, Any] | None = None) -> None:  # noqa: N803 (the wire's name)
        self.pvcSpecPatch = pvcSpecPatch or {}

    def set_pvcSpecPatch(self, patch: dict[str, Any]) -> None:  # noqa: N802
        self.pvcSpecPatch = patch


class WorkspaceConfig:
    """A volume that all tasks of a run share."""

    def __init__(self, size: str, kubernetes: KubernetesWorkspaceConfig | None = None) -> None:
        self.size = size
        self.kubernetes = kubernetes or KubernetesWorkspaceConfig()

    @property
    def size(self) -> str:
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
        workspace: dict[str, Any] = {"size": self.size}
        if self.kubernetes:
            workspace["kubernetes"] = {"pvcSpecPatch": self.kubernetes.pvcSpecPatch}
        return workspace

    def set_size(self, size: str) -> None:
        self.size = size

    def set_kubernetes_config(self, kubernetes_config: KubernetesWorkspaceConfig) -> None:
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
    """Workspace, clean-up times and deadline of a pipeline's runs."""

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
