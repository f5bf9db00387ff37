"""A task's own Kubernetes settings, passed to the component instead of applied to its pod."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class TaskConfig:
    """Kubernetes settings of the task, passed to the component instead of applied to the task's own pod.

    Annotate one parameter with it, and name the settings in `task_config_passthroughs`; no argument is passed. It
    is for components that start something else on the cluster. All fields are as Kubernetes writes them.

    Args:
        affinity: `PodSpec.affinity`. Default: None.
        tolerations: `PodSpec.tolerations`. Default: None.
        node_selector: `PodSpec.nodeSelector`. Default: None.
        env: `Container.env`. Default: None.
        volumes: `PodSpec.volumes`. Default: None.
        volume_mounts: `Container.volumeMounts`. Default: None.
        resources: `Container.resources`. Default: None.
    """

    affinity: dict[str, Any] | None = None
    tolerations: list[dict[str, Any]] | None = None
    node_selector: dict[str, str] | None = None
    env: list[dict[str, Any]] | None = None
    volumes: list[dict[str, Any]] | None = None
    volume_mounts: list[dict[str, Any]] | None = None
    resources: dict[str, Any] | None = None
