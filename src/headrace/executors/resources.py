"""What a task asks for of the machine: Kubernetes quantities in its document, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from headrace.executors.codes import Code
from headrace.executors.refusal import Refusal

_SUFFIXES = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
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


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt holds while it runs."""

    resources: Resources = Resources()
    #: Devices of the accelerator that are its own.
    devices: tuple[str, ...] = ()


def resources_of(texts: Mapping[str, str]) -> Resources:
    """Read a container's `resources` (see `ContainerSpec`). Raises Refusal with ORDER_INVALID."""
    cpu_limit = _amount(texts, "cpu_limit")
    memory_limit = _amount(texts, "memory_limit")
    cpus, memory = _amount(texts, "cpu_request"), _amount(texts, "memory_request")
    for word, request, limit in (("cpu", cpus, cpu_limit), ("memory", memory, memory_limit)):
        if request and limit and request > limit:
            asked, most = texts[f"{word}_request"], texts[f"{word}_limit"]
            message = f"The task requests {asked} of {word}, more than its limit of {most} (set_{word}_limit)."
            raise Refusal(Code.ORDER_INVALID, message, retryable=False)
    count = _amount(texts, "accelerator_count") or 0.0
    if not count.is_integer():
        message = f"{texts['accelerator_count']!r} is no number of accelerators; write a whole one."
        raise Refusal(Code.ORDER_INVALID, message, retryable=False)
    return Resources(
        cpus=(cpu_limit or 0.0) if cpus is None else cpus,
        memory_bytes=int((memory_limit or 0.0) if memory is None else memory),
        accelerator=(texts.get("accelerator_type") or ANY_ACCELERATOR) if count else "",
        accelerators=int(count),
        cpu_limit=cpu_limit or None,
        memory_limit_bytes=int(memory_limit) if memory_limit else None,
    )


def _amount(texts: Mapping[str, str], name: str) -> float | None:
    """None when it is not said. Zero says: none needed, or, as a limit, no limit."""
    text = texts.get(name, "")
    return quantity(text) if text else None


def quantity(text: str) -> float:
    """A Kubernetes quantity: `500m`, `2`, `1.5Gi`, `1e3`."""
    match = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", text.strip())
    if match is None or match[2] not in _SUFFIXES or match[1].count(".") > 1 or match[1] == ".":
        raise Refusal(
            Code.ORDER_INVALID, f"{text!r} is no quantity; write for instance 500m, 2 or 1.5Gi.", retryable=False
        )
    amount = float(match[1]) * _SUFFIXES[match[2]]
    if amount > _MOST:
        raise Refusal(Code.ORDER_INVALID, f"{text!r} is more than any machine has.", retryable=False)
    return amount


#: Of cores or of bytes; keeps infinities and what no kernel file takes away from all that follows.
_MOST = 2.0**62


def size(amount: float) -> str:
    """Bytes as people and documents write them: `1.5Gi`."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if amount >= _SUFFIXES[suffix]:
            return f"{amount / _SUFFIXES[suffix]:.4g}{suffix}"
    return f"{amount:g} bytes"
