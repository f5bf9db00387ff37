"""A task's own Kubernetes settings, handed to the component instead of to its pod."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class TaskConfig:
    """Annotate a parameter with this to receive the settings named in `task_config_passthroughs`."""

    affinity: dict[str, Any] | None = None
    tolerations: list[dict[str, Any]] | None = None
    node_selector: dict[str, str] | None = None
    env: list[dict[str, Any]] | None = None
    volumes: list[dict[str, Any]] | None = None
    volume_mounts: list[dict[str, Any]] | None = None
    resources: dict[str, Any] | None = None
