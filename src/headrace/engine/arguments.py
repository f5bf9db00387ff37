"""The arguments of a run, checked before anything is stored."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from headrace.engine import values
from headrace.engine.facts import filled_default
from headrace.engine.model import Json
from headrace.engine.plan import Plan
from headrace.spec.document import Interface, ParameterDefinition, type_word

F = TypeVar("F")


class ArgumentFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one argument."""

    name: str
    #: ARGUMENT_UNKNOWN, ARGUMENT_MISSING, ARGUMENT_NULL, ARGUMENT_TYPE, ARGUMENT_LITERAL or ARGUMENT_ARTIFACT.
    code: str
    expected: str
    got: str
    #: How to fix it.
    fix: str

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, got {self.got}. {self.fix}"


class Faults(ValueError, Generic[F]):
    """Everything that is wrong with a request, at once: one line for each fault."""

    code = "INVALID"

    def __init__(self, headline: str, faults: tuple[F, ...]) -> None:
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{headline}\n{lines}")


class InvalidArguments(Faults[ArgumentFault]):
    """The arguments do not fit the pipeline; `faults` lists everything that is wrong."""

    code = "INVALID_ARGUMENTS"


def check_arguments(
    plan: Plan,
    arguments: Mapping[str, Json],
    known: Callable[[], dict[str, str]] = dict,
    *,
    artifacts_may_be_missing: bool = False,
) -> dict[str, Json]:
    """All inputs of the root: arguments over defaults; raises InvalidArguments.

    `known` gives the facts of the run that placeholders in a default may name. No argument can be an artifact: where
    the root needs one, that is refused, or else (`artifacts_may_be_missing`) the tasks that read it will fail.
    """
    interface = plan.document.root.inputs
    faults = [_unknown(name, value, interface) for name, value in arguments.items() if name not in interface.parameters]
    found: dict[str, Json] = {}
    for name, definition in interface.parameters.items():
        try:
            found[name] = _value(name, definition, arguments, known)
        except _Wrong as wrong:
            faults.append(wrong.fault)
    for name, artifact in interface.artifacts.items():
        if not artifact.optional and not artifacts_may_be_missing and name not in arguments:
            faults.append(_artifact(name))
    if faults:
        raise InvalidArguments(f"The arguments do not fit pipeline {plan.document.name}:", tuple(faults))
    return found


class _Wrong(Exception):
    def __init__(self, fault: ArgumentFault) -> None:
        self.fault = fault


def _value(
    name: str, definition: ParameterDefinition, arguments: Mapping[str, Json], known: Callable[[], dict[str, str]]
) -> Json:
    if name not in arguments:
        return _default(name, definition, known)
    value = arguments[name]
    expected = _expected(definition)
    if value is None:
        if definition.optional or definition.default is None:
            return None
        raise _Wrong(
            ArgumentFault(
                name=name, code="ARGUMENT_NULL", expected=expected, got="null", fix="Give a value: it is not optional."
            )
        )
    try:
        fitted = values.fit_strictly(value, definition.type)
    except (values.Mismatch, RecursionError) as error:
        got = error.got if isinstance(error, values.Mismatch) else "a value nested too deep"
        raise _Wrong(
            ArgumentFault(
                name=name, code="ARGUMENT_TYPE", expected=expected, got=got, fix=f"Give {_example(definition)}."
            )
        ) from None
    if definition.literals and not any(values.same(fitted, literal) for literal in definition.literals):
        raise _Wrong(
            ArgumentFault(
                name=name,
                code="ARGUMENT_LITERAL",
                expected=expected,
                got=values.shown(fitted),
                fix="Give one of the allowed values.",
            )
        )
    return fitted


def _default(name: str, definition: ParameterDefinition, known: Callable[[], dict[str, str]]) -> Json:
    if definition.default is msgspec.UNSET:
        if definition.optional:
            return None
        raise _Wrong(
            ArgumentFault(
                name=name,
                code="ARGUMENT_MISSING",
                expected=_expected(definition),
                got="nothing",
                fix=f"Give it a value, {_example(definition)}: it has no default.",
            )
        )
    default = filled_default(definition.default, known)
    if default is None:
        return None
    try:
        return values.fit(default, definition.type)
    except values.Mismatch as mismatch:
        raise _Wrong(
            ArgumentFault(
                name=name,
                code="ARGUMENT_TYPE",
                expected=_expected(definition),
                got=f"{mismatch.got}, its default in the document",
                fix="Correct the default or give a value.",
            )
        ) from None


def _unknown(name: str, value: Json, interface: Interface) -> ArgumentFault:
    if name in interface.artifacts:
        return _artifact(name)
    near = difflib.get_close_matches(name, interface.parameters, 1)
    known = ", ".join(sorted(interface.parameters)) or "none: the pipeline takes no arguments"
    return ArgumentFault(
        name=name,
        code="ARGUMENT_UNKNOWN",
        expected=f"one of the pipeline's arguments ({known})",
        got=values.shown(value),
        fix=f"Did you mean {near[0]}?" if near else "Leave it out or correct its name.",
    )


def _artifact(name: str) -> ArgumentFault:
    return ArgumentFault(
        name=name,
        code="ARGUMENT_ARTIFACT",
        expected="an artifact",
        got="nothing that can be given as an argument",
        fix="Artifacts cannot be given to a run: import it inside the pipeline with dsl.importer.",
    )


def _expected(definition: ParameterDefinition) -> str:
    if definition.literals:
        return "one of " + ", ".join(values.shown(literal) for literal in definition.literals)
    return type_word(definition.type)


_EXAMPLES = {
    "NUMBER_INTEGER": "an integer such as 3",
    "NUMBER_DOUBLE": "a number such as 0.5",
    "STRING": "a text such as 'abc'",
    "BOOLEAN": "true or false",
    "LIST": "a list such as [1, 2]",
    "STRUCT": 'an object such as {"a": 1}',
}


def _example(definition: ParameterDefinition) -> str:
    if definition.literals:
        return values.shown(definition.literals[0])
    return _EXAMPLES.get(definition.type, "an object")
