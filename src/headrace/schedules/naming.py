"""Names of the runs that a recurring run makes.

Source: kubeflow/pipelines `backend/src/crd/controller/scheduledworkflow/util/scheduled_workflow.go` (`NextResourceID`)
and `backend/src/apiserver/resource/resource_manager_util.go`.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

_MOST: Final = 25
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def short_name(display_name: str) -> str:
    """The name that its runs begin with: `display_name` in small letters, cut, and five random characters."""
    cleaned = re.sub(r"[^a-z0-9-]", "", display_name.lower())[:_MOST] or "job-"
    return cleaned + "".join(secrets.choice(_ALPHABET) for _ in range(5))


def run_name(short: str, index: int) -> str:
    """The display name of the run that the tick of this number makes."""
    name = f"{short}-{index}"
    return f"{name}-{_fnv32a(name.encode())}"


def _fnv32a(data: bytes) -> int:
    """The hash FNV-1a of 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
