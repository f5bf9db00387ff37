"""`headrace run FILE --lr 0.1`: the inputs of the pipeline as options of the command, in its `--help` too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from headrace.cli.errors import CliError

Json: TypeAlias = Any
_LONGEST_DEFAULT = 40


class RunCommand(click.Command):
    """A command whose first argument is a file: `--help` behind it lists the pipeline's inputs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words for `--help`, which is answered before the argument is read."""
        ctx.meta["headrace.words"] = list(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, and the inputs of the pipeline in the file that is named."""
        super().format_options(ctx, formatter)
        words: list[str] = ctx.meta.get("headrace.words", [])
        path = next((Path(word) for word in words if not word.startswith("-") and Path(word).is_file()), None)
        if path is None:
            return
        with formatter.section(f"Inputs of the pipeline in {path}"):
            try:
                formatter.write_dl(_rows(path, _after("--pipeline", words)) or [("none", "")])
            except CliError as error:
                formatter.write_text(f"They cannot be shown: {error.what}")


def _after(option: str, words: list[str]) -> str | None:
    for number, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and number + 1 < len(words):
            return words[number + 1]
    return None


def _rows(path: Path, pipeline: str | None) -> list[tuple[str, str]]:
    from headrace.cli.arguments import declared
    from headrace.cli.sources import load
    from headrace.spec.document import type_word

    rows = []
    for name, declaration in declared(load(path, pipeline).pipeline_spec).items():
        word = type_word(str(declaration.get("parameterType", ""))).upper()
        rows.append((f"--{name} {word}", _help(declaration)))
    return rows


def _help(declaration: Mapping[str, Json]) -> str:
    parts = [str(declaration["description"]).strip()] if declaration.get("description") else []
    if literals := declaration.get("literals"):
        parts.append("One of " + ", ".join(str(one) for one in literals) + ".")
    if "defaultValue" in declaration:
        value = declaration["defaultValue"]
        if declaration.get("parameterType") == "NUMBER_INTEGER" and isinstance(value, float):
            value = int(value)
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f"[default: {text if len(text) <= _LONGEST_DEFAULT else text[:_LONGEST_DEFAULT] + '…'}]")
    elif declaration.get("isOptional"):
        parts.append("[optional]")
    else:
        parts.append("[required]")
    return "  ".join(parts)


def as_arguments(words: Iterable[str], inputs: Mapping[str, Mapping[str, Json]], own: Iterable[str]) -> list[str]:
    """Options that are not the command's own, as `NAME=VALUE`. Raises CliError for what is none of the inputs."""
    found = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            raise CliError(f"Unexpected word {word!r}.", code="USAGE", fix="See: headrace run --help")
        option, equals, value = word[2:].partition("=")
        name = _input(option, inputs, own)
        if not equals:
            is_flag = inputs[name].get("parameterType") == "BOOLEAN" and (not left or left[0].startswith("--"))
            if not left and not is_flag:
                raise CliError(f"--{option} needs a value.", code="ARGUMENT_SYNTAX", fix=f"Write --{option} VALUE.")
            value = "true" if is_flag else left.pop(0)
        found.append(f"{name}={value}")
    return found


def _input(option: str, inputs: Mapping[str, object], own: Iterable[str]) -> str:
    """The input that an option names, with `-` for `_` if there is no other."""
    import difflib

    for name in (option, option.replace("-", "_")):
        if name in inputs:
            return name
    near = difflib.get_close_matches(option, [*inputs, *own], n=1, cutoff=0.5)
    listed = ", ".join(f"--{name}" for name in inputs) or "none"
    meant = f"Did you mean --{near[0]}? " if near else ""
    raise CliError(
        f"No such option --{option}, and the pipeline has no input of this name.",
        code="ARGUMENT_UNKNOWN",
        fix=f"{meant}The pipeline's inputs: {listed}. All options: headrace run --help",
    )
