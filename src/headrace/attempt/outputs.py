"""Reads what an attempt left behind: parameters checked against their declared types, artifacts put into the store."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.attempt.artifact_access import RESERVED, ArtifactAccess, StoredContent, refusal_of
from headrace.attempt.codes import Code
from headrace.attempt.executor_input import local_path, output_key, shown_root, shown_uri
from headrace.attempt.layout import OUTPUT_FILE, Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.attempt.refusal import Refusal, is_passing
from headrace.attempt.result import ProducedArtifact, ResultSucceeded
from headrace.attempt.workspace import as_mounted
from headrace.engine.model import Artifact, ArtifactType, Json
from headrace.runtime.links import replace_links
from headrace.spec.document import type_word

#: An ExecutorOutput larger than this is refused unread.
MAX_OUTPUT_FILE_BYTES = 64 << 20
#: Characters that a part of a chosen name may have.
_LONGEST_NAME = 200
#: Artifacts of these types are their metadata: they need no file.
_METADATA_ONLY = frozenset({"system.Metrics", "system.ClassificationMetrics", "system.SlicedClassificationMetrics"})
#: Files beside an output that was never written that are named.
_NAMED_BESIDE = 3
_TRUTH = {"true": True, "false": False}


class _ArtifactNote(msgspec.Struct, kw_only=True):
    """What the component says of an artifact in the ExecutorOutput."""

    name: str = ""
    uri: str = ""
    metadata: dict[str, Json] | None = None
    custom_path: str = ""


class _ArtifactNotes(msgspec.Struct, kw_only=True):
    artifacts: tuple[_ArtifactNote, ...] = ()


class _Output(msgspec.Struct, kw_only=True, rename="camel"):
    """KFP's ExecutorOutput."""

    parameter_values: dict[str, Json] = {}
    artifacts: dict[str, _ArtifactNotes] = {}


class OutputReader(msgspec.Struct, frozen=True, kw_only=True):
    """Reads the outputs of one attempt."""

    order: LaunchOrder
    #: The attempt's layout on this machine.
    layout: Layout
    artifacts: ArtifactAccess
    max_parameter_bytes: int
    #: The directory of outputs as the component saw it (inside a container, another than ours).
    seen_as: str
    #: Where the component saw its inputs, by URI, if not where the URI says.
    inputs: dict[str, str] = {}

    def read(self) -> ResultSucceeded:
        """Everything, or a Refusal that names the output. Blocks."""
        # A Python component always writes an ExecutorOutput, if an empty one.
        output = self._output_file(must_answer=python_entry(self.order) is not None)
        parameters = {
            name: self._parameter(name, kind, output.parameter_values)
            for name, kind in self.order.outputs.parameters.items()
        }
        notes = {name: _note(output.artifacts.get(name)) for name in self.order.outputs.artifacts}
        places = {name: self._said_at(name, note) for name, note in notes.items()}
        keys = self._keys(places)
        artifacts: dict[str, tuple[ProducedArtifact, ...]] = {
            name: (self._artifact(name, kind, notes[name], places[name], keys[name]),)
            for name, kind in self.order.outputs.artifacts.items()
        }
        return ResultSucceeded(parameters=parameters, artifacts=artifacts)

    def _output_file(self, *, must_answer: bool) -> _Output:
        path = self.layout.output_file
        try:
            if path.lstat().st_size > MAX_OUTPUT_FILE_BYTES:
                raise Refusal(Code.PARAMETER_TOO_LARGE, f"{OUTPUT_FILE} is larger than {MAX_OUTPUT_FILE_BYTES} bytes.")
            text = _read_inside(path)
        except NotAFile as error:
            raise Refusal(Code.OUTPUT_INVALID, f"{OUTPUT_FILE} is {error}.") from None
        except FileNotFoundError:
            if must_answer:
                message = "The interpreter ended with exit status 0 before the component returned, as os._exit() does."
                raise Refusal(Code.EXITED_EARLY, message) from None
            return _Output()
        try:
            return msgspec.json.decode(text, type=_Output)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Refusal(Code.OUTPUT_INVALID, f"{OUTPUT_FILE} is not a valid ExecutorOutput: {error}.") from error

    # parameters -------------------------------------------------------------------------------

    def _parameter(self, name: str, kind: str, values: dict[str, Json]) -> Json:
        value = values.get(name)
        if value is None:
            value = self._from_file(name, kind)
        check_type(name, kind, value)
        value = as_mounted(value, str(self.layout.workspace))
        size = len(msgspec.json.encode(value))
        if size > self.max_parameter_bytes:
            message = (
                f"Output parameter {name!r} has {size} bytes of JSON; at most {self.max_parameter_bytes} are allowed "
                "(setting max_parameter_bytes). Hand it on as an artifact instead."
            )
            raise Refusal(Code.PARAMETER_TOO_LARGE, message, output=name, size=size, limit=self.max_parameter_bytes)
        return _normal(kind, value)

    def _from_file(self, name: str, kind: str) -> Json:
        path = self.layout.parameters / name
        try:
            if path.lstat().st_size > self.max_parameter_bytes + 2:
                raise self._too_large_file(name, path.lstat().st_size)
            data = _read_inside(path)
        except NotAFile as error:
            message = (
                f"Output parameter {name!r} must be {type_word(kind)}, but what was written to its path is {error}."
            )
            raise Refusal(Code.OUTPUT_INVALID, message, output=name, expected=type_word(kind)) from None
        except FileNotFoundError:
            raise self._not_given(name, type_word(kind)) from None
        return parse_parameter(name, kind, data)

    def _not_given(self, name: str, expected: str) -> Refusal:
        entry = python_entry(self.order)
        if entry is None:
            message = f"The command did not write its output parameter {name!r}, which is {expected}."
            return Refusal(Code.OUTPUT_MISSING, message, output=name, expected=expected)
        message = f"The function returned None for its output {name!r}, which must be {expected}."
        return Refusal(Code.OUTPUT_MISSING, message, output=name, expected=expected, function=entry.function)

    def _too_large_file(self, name: str, size: int) -> Refusal:
        message = (
            f"Output parameter {name!r} is a file of {size} bytes; at most {self.max_parameter_bytes} are allowed "
            "(setting max_parameter_bytes). Hand it on as an artifact instead."
        )
        return Refusal(Code.PARAMETER_TOO_LARGE, message, output=name, size=size, limit=self.max_parameter_bytes)

    # artifacts --------------------------------------------------------------------------------

    def _keys(self, places: Mapping[str, str]) -> dict[str, str]:
        """The key of each output: with the name that the component has chosen for its file, since readers go by that.

        Where two would lie in one place, the later one keeps the output's own name.
        """
        own = {name: output_key(self.order, name) for name in places}
        taken = set(own.values())
        keys = {}
        for name, said_at in places.items():
            chosen = self._chosen_name(said_at)
            key = output_key(self.order, *chosen)
            others = taken - {own[name]}
            clashes = any(key == one or key.startswith(f"{one}/") or one.startswith(f"{key}/") for one in others)
            keys[name] = key if chosen and not clashes else own[name]
            taken.add(keys[name])
        return keys

    def _chosen_name(self, said_at: str) -> list[str]:
        """The parts of the path below its outputs, or the last part of another; none when a key cannot hold them."""
        path = local_path(said_at) or ""
        inside = path.removeprefix(f"{self.seen_as}/")
        parts = inside.split("/") if inside != path else path.rsplit("/", 1)[-1:]
        is_plain = all(part and part not in (".", "..", RESERVED) and len(part) < _LONGEST_NAME for part in parts)
        return parts if is_plain else []

    def _artifact(self, name: str, kind: ArtifactType, note: _ArtifactNote, said_at: str, key: str) -> ProducedArtifact:
        metadata = note.metadata or {}
        if (same := self._input_at(said_at)) is not None:
            # Handed on as it is: both names stand for the same content.
            return ProducedArtifact(
                name=note.name or name,
                type=kind,
                uri=same.uri,
                metadata=metadata,
                digest=same.digest,
                size_bytes=same.size_bytes,
            )
        path = local_path(said_at)
        if path is None:
            return ProducedArtifact(name=note.name or name, type=kind, uri=said_at, metadata=metadata)
        content = self._inside(name, self._on_this_machine(path))
        if not os.path.lexists(content) and not self.artifacts.begun(key):
            # Never written, unless an earlier server was ended just after it took it.
            if kind.schema_title not in _METADATA_ONLY:
                return ProducedArtifact(
                    name=note.name or name,
                    type=kind,
                    uri=key,
                    metadata=metadata,
                    not_written=_never_written(name, content),
                )
            self._make_empty(name, content)
        stored = self._ship(name, key, content)
        return ProducedArtifact(
            name=note.name or name,
            type=kind,
            uri=stored.uri,
            metadata=metadata,
            digest=stored.digest,
            size_bytes=stored.size_bytes,
            is_directory=stored.is_directory,
            owned=True,
        )

    def _said_at(self, name: str, note: _ArtifactNote) -> str:
        """Where the component says the content is: a path, or the URI of a store that it has written to itself."""
        prepared = f"{self.seen_as}/{name}"
        if note.custom_path and note.custom_path != prepared:
            return note.custom_path
        if not note.uri or note.uri == shown_uri(self.order, name, self.seen_as):
            return prepared
        # `dsl.get_uri("x")`, or a path below it: what is prepared for it lies here.
        inside = f"{shown_root(self.order, self.seen_as)}/"
        return f"{self.seen_as}/{note.uri.removeprefix(inside)}" if note.uri.startswith(inside) else note.uri

    def _input_at(self, said_at: str) -> Artifact | None:
        """The input artifact whose content this is."""
        for artifact in (one for many in self.order.inputs.artifacts.values() for one in many):
            if said_at in (artifact.uri, local_path(artifact.uri), self.inputs.get(artifact.uri)):
                return artifact
        return None

    def _on_this_machine(self, path: str) -> Path:
        if path == self.seen_as or path.startswith(f"{self.seen_as}/"):
            return self.layout.outputs / path[len(self.seen_as) + 1 :]
        return Path(path)

    def _ship(self, name: str, key: str, path: Path) -> StoredContent:
        try:
            replace_links(str(path), within=str(self.layout.root))
            return self.artifacts.take(key, path)
        except Exception as error:
            raise refusal_of(error, f"Output artifact {name!r}", output=name) from error

    def _make_empty(self, name: str, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except (FileExistsError, NotADirectoryError) as error:
            message = f"Output artifact {name!r} cannot be at {path}: {error}. A part of that path is a file."
            raise Refusal(Code.ARTIFACT_INVALID, message, output=name, path=str(path)) from error

    def _inside(self, name: str, path: Path) -> Path:
        """The path without links on the way. Moving is taking away: only what the attempt itself made may be moved."""
        root, parent = self.layout.root.resolve(), path.parent.resolve()
        if not parent.is_relative_to(root) or path.name == "..":
            message = (
                f"Output artifact {name!r} was said to be at {path}, outside the attempt's own directory. "
                "Write it to the path given, or give the URI of a remote store."
            )
            raise Refusal(Code.ARTIFACT_INVALID, message, output=name, path=str(path))
        return parent / path.name


def _never_written(name: str, path: Path) -> str:
    """A sentence that says so, with files beside it that begin with its name."""
    try:
        beside = sorted(one for one in os.listdir(path.parent) if one.startswith(path.name))  # noqa: PTH208
    except OSError:
        beside = []
    if not beside:
        return f"Output artifact {name!r} was never written."
    shown = ", ".join(repr(one) for one in beside[:_NAMED_BESIDE])
    return (
        f"Output artifact {name!r} was never written; beside it lies {shown}, which is lost. "
        f"Set `{name}.path` to the file that you write."
    )


def _note(notes: _ArtifactNotes | None) -> _ArtifactNote:
    return notes.artifacts[0] if notes and notes.artifacts else _ArtifactNote()


class NotAFile(Exception):
    """Where a file should be there is something else; the text says what."""


def _read_inside(path: Path) -> bytes:
    """A regular file's bytes; a link or a pipe is refused (NotAFile), neither followed nor waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_passing(error):
            raise  # it says nothing of the file
        raise NotAFile("a link" if error.errno == errno.ELOOP else f"nothing that can be read: {error}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFile("not a file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_OUTPUT_FILE_BYTES)
    finally:
        os.close(descriptor)


def parse_parameter(name: str, kind: str, data: bytes) -> Json:
    """A parameter file's content: a STRING is its text, all else JSON (a BOOLEAN in any case)."""
    try:
        text = data.decode("utf-8")
        if kind == "STRING":
            return text
        if kind == "BOOLEAN":
            return _TRUTH[text.strip().lower()]
        return msgspec.json.decode(text.strip())
    except (UnicodeDecodeError, msgspec.DecodeError, KeyError, RecursionError):
        start = data[:60].decode("utf-8", "replace")
        message = f"Output parameter {name!r} must be {type_word(kind)}, but its file begins with {start!r}."
        raise Refusal(Code.OUTPUT_INVALID, message, output=name, expected=type_word(kind), got=start) from None


def check_type(name: str, kind: str, value: Json) -> None:
    """Refuse a value that is not of the declared type."""
    if _fits(kind, value):
        return
    got = json_type(value)
    message = f"Output parameter {name!r} must be {type_word(kind)}, but is {type_word(got)}: {json.dumps(value)[:60]}."
    raise Refusal(Code.OUTPUT_INVALID, message, output=name, expected=type_word(kind), got=got)


def _fits(kind: str, value: Json) -> bool:
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "NUMBER_INTEGER":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case "NUMBER_DOUBLE":
            return not isinstance(value, bool) and isinstance(value, int | float)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "LIST":
            return isinstance(value, list)
        case "STRUCT":
            return isinstance(value, dict)
        case _:
            return True


def _normal(kind: str, value: Json) -> Json:
    if kind == "NUMBER_INTEGER" and isinstance(value, float):
        return int(value)
    if kind == "NUMBER_DOUBLE" and isinstance(value, int) and abs(value) < 1 << 1000:
        return float(value)
    return value


def json_type(value: Json) -> str:
    """The declared type a value would have fitted."""
    for kind in ("BOOLEAN", "NUMBER_INTEGER", "NUMBER_DOUBLE", "STRING", "LIST", "STRUCT"):
        if _fits(kind, value):
            return kind
    return "null"
