"""What a task asks for of the machine: Kubernetes quantities in its document, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal
from headrace.spec.quantities import QuantityError, read_bytes, read_quantity

Number = TypeVar("Number", int, float)

#: What a document may call an accelerator without naming one, as `set_accelerator_limit` alone does.
ANY_ACCELERATOR = "nvidia.com/gpu"


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a task needs to begin (a request, else the limit, as on Kubernetes) and what it must not exceed."""

    #: Cores; 0: it does not say.
    cpus: float = 0.0
    memory_bytes: int = 0
    accelerator: str = ""
    accelerators: int = 0
    cpu_limit: float | None = None
    memory_limit_bytes: int | None = None


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt holds while it runs."""

    resources: Resources = Resources()
    #: Devices of the accelerator that are its own.
    devices: tuple[str, ...] = ()


def resources_of(texts: Mapping[str, str]) -> Resources:
    """Read a container's `resources` (see `ContainerOrder`). Raises Refusal with ORDER_INVALID."""
    cpus, cpu_limit = (_amount(texts, name, read_quantity) for name in ("cpu_request", "cpu_limit"))
    memory, memory_limit = (_amount(texts, name, read_bytes) for name in ("memory_request", "memory_limit"))
    for word, request, limit in (("cpu", cpus, cpu_limit), ("memory", memory, memory_limit)):
        if request and limit and request > limit:
            asked, most = texts[f"{word}_request"], texts[f"{word}_limit"]
            message = f"The task requests {asked} of {word}, more than its limit of {most} (set_{word}_limit)."
            raise Refusal(Code.ORDER_INVALID, message, retryable=False)
    count = _amount(texts, "accelerator_count", read_quantity) or 0.0
    if not count.is_integer():
        message = f"{texts['accelerator_count']!r} is not a number of accelerators; write a whole one."
        raise Refusal(Code.ORDER_INVALID, message, retryable=False)
    return Resources(
        cpus=(cpu_limit or 0.0) if cpus is None else cpus,
        memory_bytes=(memory_limit or 0) if memory is None else memory,
        accelerator=(texts.get("accelerator_type") or ANY_ACCELERATOR) if count else "",
        accelerators=int(count),
        cpu_limit=cpu_limit or None,
        memory_limit_bytes=memory_limit or None,
    )


def _amount(texts: Mapping[str, str], name: str, read: Callable[[str], Number]) -> Number | None:
    """None when the document does not say. Zero says: none needed, or, as a limit, no limit."""
    text = texts.get(name, "")
    try:
        return read(text) if text else None
    except QuantityError as error:
        raise Refusal(Code.ORDER_INVALID, str(error), retryable=False) from None


_UNITS = {"Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10}


def size(amount: float) -> str:
    """Bytes as people and documents write them: `1.5Gi`."""
    for suffix, unit in _UNITS.items():
        if amount >= unit:
            return f"{amount / unit:.4g}{suffix}"
    return f"{amount:g} bytes"
