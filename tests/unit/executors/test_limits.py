"""The reason that an attempt gets when it wanted more than it may have."""

from __future__ import annotations

import pytest

from headrace.attempt.codes import Code
from headrace.engine.model import Reason
from headrace.executors.local.cgroups import Limits
from headrace.executors.local.limits import AppliedLimits, outgrown

MEMORY = Reason(code=Code.OUT_OF_MEMORY, message="MemoryError")


@pytest.mark.parametrize(
    ("limit", "outcome", "code"),
    [
        (1 << 20, MEMORY, Code.OUT_OF_MEMORY),
        (None, MEMORY, None),
        (1 << 20, Reason(code="USER_EXCEPTION", message="ValueError"), None),
        (None, Reason(code="USER_EXCEPTION", message="OSError: [Errno 28] No space left"), Code.DISK_FULL),
        (None, Reason(code="USER_EXCEPTION", message="OSError: [Errno 122] Quota"), Code.DISK_FULL),
        (1 << 20, None, None),
    ],
)
def test_without_a_control_group(limit, outcome, code):
    applied = AppliedLimits(limits=Limits(memory_bytes=limit), memory_from="the task")
    found = outgrown(applied, None, outcome)
    assert (found.code if found else None) == code
    if code == Code.OUT_OF_MEMORY:
        assert found.details == {"limit": limit, "limit_from": "the task"}
