"""Kubernetes quantities: `500m` cores, `1.5Gi` of memory. The SDK, the verifier and the executors all read them here.

Source: `ParseQuantity` of `k8s.io/apimachinery/pkg/api/resource`. Two differences: `K` means the same as `k`, because
KFP's SDK writes `K`; and a sign is refused, because no amount here can be negative.
"""

from __future__ import annotations

import re

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(r"(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+)|([A-Za-z]{0,2}))", re.ASCII)
#: In characters: longer texts are refused without being parsed.
_LONGEST = 64
#: Powers of ten: below the negative one an amount counts as 0, above the positive one it is too much.
_SMALLEST = 2 * _LONGEST
#: In cores or bytes. More than any machine has; and the number of bytes still fits into 64 bits everywhere.
_MOST = 2**62


class QuantityError(ValueError):
    """A text that is not a quantity, or more than any machine has; the message says which."""


def read_quantity(text: str) -> float:
    """The amount: `500m` is 0.5, `1Ki` is 1024.0, `1e3` is 1000.0. Raises QuantityError."""
    above, below = _ratio(text)
    return above / below


def read_bytes(text: str) -> int:
    """The amount in whole bytes, rounded up as Kubernetes does. Raises QuantityError."""
    above, below = _ratio(text)
    return -(-above // below)


def _ratio(text: str) -> tuple[int, int]:
    """The exact amount as a fraction: (above, below) the line."""
    match = _QUANTITY.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or (match[4] or "") not in _DECIMAL.keys() | _BINARY.keys():
        raise QuantityError(f"{_shown(text)} is not a quantity; write for instance 500m, 2 or 1.5Gi.")
    whole, fraction, exponent, suffix = match[1], match[2] or "", match[3], match[4] or ""
    digits = int(whole + fraction)
    power = (int(exponent) if exponent is not None else _DECIMAL.get(suffix, 0)) - len(fraction)
    if digits == 0 or power < -_SMALLEST:
        return 0, 1
    if power > _SMALLEST:
        raise QuantityError(f"{_shown(text)} is more than any machine has.")
    above, below = digits * 10 ** max(power, 0) << _BINARY.get(suffix, 0), 10 ** max(-power, 0)
    if above > _MOST * below:
        raise QuantityError(f"{_shown(text)} is more than any machine has.")
    return above, below


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
