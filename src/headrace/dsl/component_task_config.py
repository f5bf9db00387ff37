"""Which of a task's settings a component takes over."""

from __future__ import annotations

import dataclasses
from enum import IntEnum
from typing import Any


class TaskConfigField(IntEnum):
    """A setting of a task that can be passed to its component; the numbers are those of the wire format."""

    RESOURCES = 1
    ENV = 2
    KUBERNETES_AFFINITY = 3
    KUBERNETES_TOLERATIONS = 4
    KUBERNETES_NODE_SELECTOR = 5
    KUBERNETES_VOLUMES = 6


@dataclasses.dataclass
class TaskConfigPassthrough:
    """Pass one setting to the component, and optionally apply it to the task's own pod too.

    Args:
        field: The setting.
        apply_to_task: Whether it also applies to the task's own pod. Default: False.
    """

    field: TaskConfigField
    apply_to_task: bool = False

    def to_ir(self) -> dict[str, Any]:
        """The passthrough as the document writes it."""
        ir: dict[str, Any] = {"field": TaskConfigField(self.field).name}
        if self.apply_to_task:
            ir["applyToTask"] = True
        return ir
