"""Kubernetes quantities: one reader, and everything that takes a quantity agrees with it."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace import dsl
from headrace.attempt.refusal import Refusal
from headrace.compiler.containers import _cpu, _memory
from headrace.executors.local.resources import resources_of
from headrace.spec.quantities import QuantityError, read_bytes, read_quantity
from headrace.spec.verify import verify

#: What a suffix multiplies with, from the Kubernetes documentation and written down a second time on purpose.
SUFFIXES = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1, "k": 10**3, "K": 10**3,
    "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3,
    "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6,
}  # fmt: skip
DIGITS = st.integers(0, 10**7).map(str)
NUMBERS = st.one_of(DIGITS, st.tuples(DIGITS, DIGITS).map(".".join), DIGITS.map(".{}".format), DIGITS.map("{}.".format))
ANY_TEXT = st.one_of(
    st.text("0123456789.eE+-kKMGTPimnu ", max_size=9),
    NUMBERS,
    st.tuples(NUMBERS, st.sampled_from([*SUFFIXES])).map("".join),
)


@settings(deadline=None)
@given(number=NUMBERS, suffix=st.sampled_from([*SUFFIXES]))
def test_a_quantity_is_its_number_times_its_suffix(number: str, suffix: str) -> None:
    amount = Fraction(f"0{number}0" if number[-1] == "." else f"0{number}") * SUFFIXES[suffix]
    if amount > 2**62:
        with pytest.raises(QuantityError, match="more than any machine has"):
            read_quantity(number + suffix)
        return
    assert read_quantity(number + suffix) == float(amount)
    assert read_bytes(number + suffix) == math.ceil(amount)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e3", 1000), ("1E3", 1000), ("2.5e-1", 0.25), ("1E", 1e18), ("5e+2", 500), (" 1Mi\n", 2**20), ("0e999", 0)],
)
def test_exponents_and_blanks(text: str, value: float) -> None:
    assert read_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    ["1e3Ki", "1 Gi", "+1", "-1", "1gi", "1i", "nan", "inf", "0x1", "1_000", "١", ".", "", "1e", "1e1.5", "1" * 65],
)
def test_what_is_not_a_quantity(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a quantity"):
        read_quantity(text)


@pytest.mark.parametrize("text", ["9e999", "1e300", "99999999999Ei", "8Ei", "1e9999999999"])
def test_more_than_any_machine_has(text: str) -> None:
    with pytest.raises(QuantityError, match="more than any machine has"):
        read_quantity(text)


def document_with(size: str) -> list[str]:
    """The codes that the verifier finds in a document with a workspace of this size."""
    spec = {
        "pipelineInfo": {"name": "p"},
        "root": {"dag": {"tasks": {}}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    platform = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": size}}}}}
    return [finding.code for finding in verify(spec, platform)]


@settings(deadline=None)
@given(text=ANY_TEXT)
@example(text="1e9")
@example(text="100m")
@example(text="500K")
@example(text="1.5Gi")
def test_sdk_verifier_and_executors_accept_the_same(text: str) -> None:
    try:
        wanted: int | None = read_bytes(text)
    except QuantityError:
        wanted = None

    try:
        sdk: int | None = read_bytes(dsl.WorkspaceConfig(size=text).size)
    except ValueError:
        sdk = None
    assert sdk == wanted

    assert ("WORKSPACE_SIZE_INVALID" in document_with(text)) is (wanted is None)

    if text:  # an empty text in a document means: not set
        try:
            executors = resources_of({"memory_limit": text}).memory_limit_bytes or 0
        except Refusal:
            executors = None
        assert executors == wanted


@settings(deadline=None)
@given(text=ANY_TEXT)
@example(text="1.5Gi")
@example(text="0.1m")
def test_numeric_fields_of_the_document_are_the_same_amount(text: str) -> None:
    try:
        amount = read_quantity(text)
    except QuantityError:
        return
    assert _cpu(text.strip()) == pytest.approx(amount)
    assert _memory(text.strip()) == pytest.approx(amount / 1e9)


@pytest.mark.parametrize("size", [5, None, ["1Gi"], {}])
def test_a_workspace_size_of_another_type(size: msgspec.Raw) -> None:
    assert document_with(size) == ([] if size is None else ["WORKSPACE_SIZE_INVALID"])
