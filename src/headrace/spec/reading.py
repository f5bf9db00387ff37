"""Read untrusted text as plain objects, within limits: pipeline files, platform documents, manifests, archives.

YAML is built here from the parser's events, one at a time and without recursion, so that nesting, aliases, size and
doubled keys are judged before they cost anything; PyYAML's own loaders are never given a stranger's text.
"""

from __future__ import annotations

import io
import json
import math
import re
import reprlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import msgspec
import yaml

Json: TypeAlias = Any

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_NODES: Final = 1_000_000
MAX_EXPANDED_BYTES: Final = 64 * 1024 * 1024
MAX_RATIO: Final = 100
MAX_ENTRIES: Final = 1000
#: Bytes below which the compression ratio of an archive is not checked: pipelines repeat themselves.
RATIO_FREE_BYTES: Final = 8 * 1024 * 1024
#: Digits of a number; more than a few hundred are an attack.
_MAX_DIGITS: Final = 400
_MAX_DOCUMENTS: Final = 100
_MAX_TAG_DIRECTIVES: Final = 16

_PARSER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
#: First characters of plain scalars that may not be texts.
_SPECIAL_START: Final = frozenset(("", *"~nNyYtToOfF-+.0123456789"))
_NUMBER_START: Final = frozenset("-+.0123456789")
_INTEGER: Final = re.compile(r"([-+]?)(?:0b([01_]+)|0x([0-9a-fA-F_]+)|(0[0-7_]+)|(0|[1-9][0-9_]*))\Z")
_DECIMAL: Final = re.compile(r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?\Z")
_NO_NUMBER: Final = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_JSON_SHAPE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_TAG_DIRECTIVE: Final = re.compile(rb"^%TAG", re.MULTILINE)

_MAGIC: Final = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "gzip data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x80\x04\x95": "a Python pickle",
}


class DocumentError(ValueError):
    """The text cannot be read: what is wrong, where, and how to fix it."""

    def __init__(self, code: str, message: str, *, line: int | None = None, column: int | None = None) -> None:
        where = "" if line is None else f"line {line}" + ("" if column is None else f", column {column}") + ": "
        super().__init__(where + message)
        #: Stable UPPER_SNAKE code.
        self.code = code
        self.message = message
        #: Counted from 1; None if the fault has no single line.
        self.line = line
        self.column = column


class PipelineFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline file holds."""

    #: The PipelineSpec as plain objects.
    pipeline_spec: dict[str, Json]
    #: The PlatformSpec as plain objects, if there is one.
    platform_spec: dict[str, Json] | None = None
    #: The text it was read from (the file in the archive, for an archive).
    text: str
    #: From a Kubernetes manifest: names and description given there.
    pipeline_name: str | None = None
    version_name: str | None = None
    display_name: str | None = None
    description: str | None = None


def read_pipeline(data: str | bytes) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """The PipelineSpec and, if given, the PlatformSpec in a text; raises DocumentError."""
    file = read_pipeline_file(data)
    return file.pipeline_spec, file.platform_spec


def read_upload(data: bytes) -> PipelineFile:
    """A pipeline as users upload it: YAML, JSON, a zip or a tar.gz; raises DocumentError."""
    if data[:2] == b"\x1f\x8b":
        data = _from_tar(data)
    elif data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        data = _from_zip(data)
    return read_pipeline_file(data)


def read_pipeline_file(data: str | bytes) -> PipelineFile:
    """The pipeline in a text and what else the text says of it; raises DocumentError."""
    text = _text(data)
    parts = [part for part in read_documents(text) if part is not None]
    if not parts:
        raise DocumentError("NOT_A_PIPELINE", "There is nothing in it: expected a pipeline document (KFP IR YAML).")
    return _recognised(parts, text)


def read_documents(data: str | bytes) -> list[Json]:
    """All YAML documents of a text (JSON is YAML too) as plain objects; raises DocumentError."""
    text = _text(data)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [read_json(text)]
        except DocumentError as error:
            # Flow-style YAML looks like JSON. What is a fault in both is reported as JSON's.
            if error.code != "NOT_JSON":
                raise
    return _yaml(text)


def read_one(data: str | bytes) -> Json:
    """The only YAML or JSON document of a text; raises DocumentError."""
    documents = [document for document in read_documents(data) if document is not None]
    if len(documents) != 1:
        raise DocumentError("NOT_ONE_DOCUMENT", f"Expected one YAML document, got {len(documents)}.")
    return documents[0]


# --- text ------------------------------------------------------------------------------------


def _text(data: str | bytes) -> str:
    if len(data) > MAX_BYTES:
        _too_large(f"The text has {len(data)} bytes; at most {MAX_BYTES} are read.")
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise DocumentError("BINARY", f"This is {what}, not text. Expected YAML or JSON.")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            "BINARY", f"This is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}. Expected YAML or JSON."
        ) from None
    if "\0" in text:
        raise DocumentError("BINARY", f"There is a NUL at character {text.index(chr(0))}. Expected YAML or JSON text.")
    return text


def _too_large(message: str) -> NoReturn:
    raise DocumentError("TOO_LARGE", message)


def _too_deep(line: int | None = None, column: int | None = None) -> NoReturn:
    raise DocumentError("TOO_DEEP", f"Nested more than {MAX_DEPTH} levels deep.", line=line, column=column)


# --- JSON ------------------------------------------------------------------------------------


def read_json(data: str | bytes) -> Json:
    """Strict JSON within the limits above: no NaN, no repeated keys, no lone surrogates; raises DocumentError."""
    text = _text(data)
    _measure_json(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_json_float,
            parse_int=_json_int,
        )
    except json.JSONDecodeError as error:
        raise DocumentError("NOT_JSON", f"Not JSON: {error.msg}.", line=error.lineno, column=error.colno) from None
    if _SURROGATE.search(text):
        _refuse_half_characters(value)
    return value


def _measure_json(text: str) -> None:
    depth = nodes = 0
    for match in _JSON_SHAPE.finditer(text):
        mark = text[match.start()]
        if mark == '"':
            continue
        nodes += 1
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                _too_deep()
        elif mark in "]}":
            depth -= 1
        if nodes > MAX_NODES:
            _too_large(f"More than {MAX_NODES} values in one document.")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError("DUPLICATE_KEY", f"The key {_shown(key)} is given twice in one object.")
            seen.add(key)
    return found


def _no_constant(word: str) -> NoReturn:
    raise DocumentError("BAD_NUMBER", f"{word} is not a JSON number.")


def _json_float(text: str) -> float:
    return _finite(text, float(text))


def _json_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise DocumentError("BAD_NUMBER", f"A number has {len(text)} digits; at most {_MAX_DIGITS} are read.")
    return int(text)


def _finite(text: str, value: float) -> float:
    if math.isfinite(value):
        return value
    raise DocumentError("BAD_NUMBER", f"{_shown(text)} is too large for a number.")


def _refuse_half_characters(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DocumentError("BAD_TEXT", "A text holds half a character (a lone \\ud800 ... \\udfff escape).") from None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else repr(text[:57]) + "..."


# --- YAML ------------------------------------------------------------------------------------


def _yaml(text: str) -> list[Json]:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise DocumentError("BAD_TEXT", "The text holds half a character (a lone surrogate).") from None
    if (
        sum(1 for _ in zip(_TAG_DIRECTIVE.finditer(data), range(_MAX_TAG_DIRECTIVES), strict=False))
        == _MAX_TAG_DIRECTIVES
    ):
        raise DocumentError("TAGS", "YAML tag directives (%TAG) are not taken.")
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=_PARSER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise _not_yaml(error) from None
    return builder.documents


def _not_yaml(error: yaml.YAMLError) -> DocumentError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    message = f"Not YAML: {problem}" + (f" ({context})" if context else "") + "."
    if mark is None:
        return DocumentError("NOT_YAML", message)
    return DocumentError("NOT_YAML", message, line=mark.line + 1, column=mark.column + 1)


_NO_KEY: Final = object()


class _Builder:
    """Plain objects from YAML events; the stack holds the collections around the open one."""

    def __init__(self) -> None:
        self.documents: list[Json] = []
        self._stack: list[tuple[dict[str, Json] | list[Json] | None, Json]] = []
        self._open: dict[str, Json] | list[Json] | None = None
        self._key: Json = _NO_KEY
        self._nodes = 0

    def take(self, event: Any) -> None:
        # Called for every value of a document: scalars, nearly all of them, come first and with few calls.
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._begin(event, {})
        elif kind is yaml.SequenceStartEvent:
            self._begin(event, [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._open, self._key = self._stack.pop()
        elif kind is yaml.AliasEvent:
            raise self._at(event, "ALIASES", f"The alias *{event.anchor} is not taken: write the value out.")

    def _at(self, event: Any, code: str, message: str) -> DocumentError:
        mark = event.start_mark
        return DocumentError(code, message, line=mark.line + 1, column=mark.column + 1)

    def _check(self, event: Any) -> None:
        if self._nodes > MAX_NODES:
            raise self._at(event, "TOO_LARGE", f"More than {MAX_NODES} values in one text.")
        if event.tag is not None:
            raise self._at(event, "TAGS", f"The YAML tag {_shown(event.tag)} is not taken: write a plain value.")

    def _begin(self, event: Any, container: dict[str, Json] | list[Json]) -> None:
        self._nodes += 1
        self._check(event)
        if len(self._stack) >= MAX_DEPTH:
            _too_deep(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(self._open, dict) and self._key is _NO_KEY:
            raise self._at(event, "NOT_YAML", "A key must be a text, not a list or a map.")
        self._put(container)
        self._stack.append((self._open, self._key))
        self._open, self._key = container, _NO_KEY

    def _scalar(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or event.tag is not None:
            self._check(event)
        value = event.value
        if event.implicit[0] and value[:1] in _SPECIAL_START:
            try:
                value = _plain(value)
            except ValueError as error:
                raise self._at(event, "BAD_NUMBER", str(error)) from None
        container = self._open
        if type(container) is list:
            container.append(value)
        elif container is not None and self._key is _NO_KEY:
            self._name(event, value)
        else:
            self._put(value)

    def _name(self, event: Any, key: Json) -> None:
        if not isinstance(key, str):
            raise self._at(event, "NOT_YAML", f"The key {_shown(event.value)} is not a text: put it in quotes.")
        if key == "<<" and event.implicit[0]:
            raise self._at(event, "ALIASES", "The merge key << is not taken: write the fields out.")
        if key in self._open:  # type: ignore[operator]
            raise self._at(event, "DUPLICATE_KEY", f"The key {_shown(key)} is given twice in one map.")
        self._key = key

    def _put(self, value: Json) -> None:
        container = self._open
        if container is None:
            if len(self.documents) >= _MAX_DOCUMENTS:
                raise DocumentError("TOO_MANY_DOCUMENTS", f"More than {_MAX_DOCUMENTS} YAML documents in one text.")
            self.documents.append(value)
        elif type(container) is list:
            container.append(value)
        else:
            container[self._key] = value
            self._key = _NO_KEY


def _plain(text: str) -> Json:
    """A plain scalar as YAML 1.1 reads it, except for times and dates, which stay texts."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if (whole := _INTEGER.match(text)) is not None:
        return _whole(text, whole)
    if _DECIMAL.match(text):
        return _finite(text, float(text.replace("_", "")))
    if _NO_NUMBER.match(text):
        raise ValueError(f"{text} is not a number that a pipeline can hold; as a text, put it in quotes.")
    return text


def _whole(text: str, match: re.Match[str]) -> int | str:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"A number has {len(text)} digits; at most {_MAX_DIGITS} are read.")
    sign, binary, hexadecimal, octal, decimal = match.groups()
    for digits, base in ((binary, 2), (hexadecimal, 16), (octal, 8), (decimal, 10)):
        if digits is not None:
            value = int(digits.replace("_", "") or "0", base)
            return -value if sign == "-" else value
    return text


# --- kinds of documents ------------------------------------------------------------------------------


def _recognised(parts: list[Json], text: str) -> PipelineFile:
    for part in parts:
        if not isinstance(part, dict):
            raise DocumentError("NOT_A_PIPELINE", f"Expected a pipeline document, got {_kind(part)}: {_glimpse(part)}.")
    if any(_is_manifest(part) for part in parts):
        return _manifest(parts, text)
    if len(parts) == 1 and (wrapped := _field(parts[0], "pipelineSpec")) is not None:
        return _checked(wrapped, _field(parts[0], "platformSpec"), text)
    pipelines = [part for part in parts if _field(part, "pipelineInfo") is not None]
    platforms = [part for part in parts if part not in pipelines and _field(part, "platforms") is not None]
    if not pipelines:
        raise _not_a_pipeline(parts)
    if len(pipelines) > 1:
        raise DocumentError("TOO_MANY_DOCUMENTS", f"There are {len(pipelines)} pipelines in it; give one per file.")
    if len(platforms) > 1 or len(parts) > 1 + len(platforms):
        raise DocumentError(
            "TOO_MANY_DOCUMENTS", "Expected a pipeline document and at most one platform document (`platforms:`)."
        )
    return _checked(pipelines[0], platforms[0] if platforms else None, text)


def _checked(pipeline: Json, platform: Json, text: str, **more: str | None) -> PipelineFile:
    for name, value in (("pipelineSpec", pipeline), ("platformSpec", platform)):
        if not isinstance(value, dict) and not (value is None and name == "platformSpec"):
            raise DocumentError("NOT_A_PIPELINE", f"`{name}` must be an object, got {_kind(value)}.")
    if _field(pipeline, "pipelineInfo") is None:
        raise _not_a_pipeline([pipeline])
    version = _field(pipeline, "schemaVersion")
    if version is not None and not (isinstance(version, str) and re.match(r"2\.[0-9]", version)):
        raise DocumentError(
            "UNSUPPORTED_SCHEMA",
            f"schemaVersion {_glimpse(version)} is not one this server reads (2.x, as a text). "
            "Compile the pipeline again with Headrace or KFP 2.",
        )
    return PipelineFile(pipeline_spec=pipeline, platform_spec=platform or None, text=text, **more)


def _field(part: Mapping[str, Json], name: str) -> Json:
    """A field written in camelCase or in snake_case."""
    if name in part:
        return part[name]
    return part.get(re.sub(r"([A-Z])", lambda hump: "_" + hump[1].lower(), name))


def _kind(value: Json) -> str:
    names = {str: "a text", list: "a list", dict: "an object", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")


def _glimpse(value: Json) -> str:
    text = value if isinstance(value, str) else reprlib.repr(value)
    return _shown(text)


def _not_a_pipeline(parts: list[dict[str, Json]]) -> DocumentError:
    first = parts[0]
    if str(first.get("apiVersion", "")).startswith("argoproj.io/"):
        return DocumentError(
            "UNSUPPORTED_SCHEMA",
            f"This is an Argo {first.get('kind', 'Workflow')}, as KFP 1 compiled it. "
            "Compile the pipeline's Python source again with Headrace or KFP 2.",
        )
    if isinstance(first.get("implementation"), dict):
        return DocumentError(
            "UNSUPPORTED_SCHEMA",
            "This is one component in KFP 1's format, not a pipeline. Load it with "
            "headrace.components.load_component_from_file, use it in a @dsl.pipeline, and compile that.",
        )
    if _field(first, "platforms") is not None:
        return DocumentError("NOT_A_PIPELINE", "There is a platform document but no pipeline document.")
    if "apiVersion" in first and "kind" in first:
        return DocumentError(
            "NOT_A_PIPELINE", f"A Kubernetes object of kind {_glimpse(first['kind'])} is not a pipeline."
        )
    keys = ", ".join(_shown(key) for key in list(first)[:5]) or "none"
    return DocumentError(
        "NOT_A_PIPELINE",
        f"`pipelineInfo` is missing: this is not a pipeline document (KFP IR YAML). Its fields: {keys}.",
    )


def _is_manifest(part: Mapping[str, Json]) -> bool:
    return str(part.get("apiVersion", "")).startswith("pipelines.kubeflow.org/")


def _manifest(parts: list[dict[str, Json]], text: str) -> PipelineFile:
    versions = [part for part in parts if part.get("kind") == "PipelineVersion"]
    if len(versions) != 1:
        raise DocumentError("NOT_A_PIPELINE", f"Expected one manifest of kind PipelineVersion, got {len(versions)}.")
    others = [part for part in parts if part is not versions[0]]
    if any(part.get("kind") != "Pipeline" for part in others) or len(others) > 1:
        raise DocumentError("TOO_MANY_DOCUMENTS", "Beside a PipelineVersion only its Pipeline may stand in the file.")
    spec = _object_at(versions[0], "spec")
    pipeline = _field(spec, "pipelineSpec")
    if pipeline is None:
        raise DocumentError("NOT_A_PIPELINE", "The PipelineVersion has no `spec.pipelineSpec`.")
    named = _said(_object_at(others[0], "metadata").get("name")) if others else None
    return _checked(
        pipeline,
        _field(spec, "platformSpec"),
        text,
        pipeline_name=_said(spec.get("pipelineName")) or named,
        version_name=_said(_object_at(versions[0], "metadata").get("name")),
        display_name=_said(spec.get("displayName")),
        description=_said(spec.get("description")),
    )


def _object_at(part: Mapping[str, Json], name: str) -> dict[str, Json]:
    value = part.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError("NOT_A_PIPELINE", f"`{name}` must be an object, got {_kind(value)}.")
    return value


def _said(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


# --- archives --------------------------------------------------------------------------------

_WANTED: Final = (".yaml", ".yml", ".json")
_ARCHIVES: Final = (".zip", ".tgz", ".gz", ".tar", ".bz2", ".xz", ".zst")


def _from_zip(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        _too_large(f"The archive has {len(data)} bytes; at most {MAX_BYTES} are read.")
    # Counted before zipfile reads it, which makes an object for each entry.
    if data.count(b"PK\x01\x02") > MAX_ENTRIES:
        _too_large(f"The archive has more than {MAX_ENTRIES} entries.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            return _unzipped(archive, entries[_chosen([entry.filename for entry in entries])])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError("BAD_ARCHIVE", f"The zip archive cannot be read: {error}.") from None


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.flag_bits & 1:
        raise DocumentError("BAD_ARCHIVE", f"{_shown(entry.filename)} is encrypted; give it in clear.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DocumentError("BAD_ARCHIVE", f"{_shown(entry.filename)} is packed in a way not taken; use deflate.")
    with archive.open(entry) as file:
        return _bounded(file.read, entry.compress_size)


def _bounded(read: Any, packed: int) -> bytes:
    out = bytearray()
    while chunk := read(1 << 16):
        out += chunk
        _check_growth(len(out), packed)
        if len(out) > MAX_BYTES:
            _too_large(f"The file in the archive has more than {MAX_BYTES} bytes.")
    return bytes(out)


def _check_growth(expanded: int, packed: int) -> None:
    if expanded > MAX_EXPANDED_BYTES:
        _too_large(f"The archive unpacks to more than {MAX_EXPANDED_BYTES} bytes.")
    if expanded > RATIO_FREE_BYTES and expanded > MAX_RATIO * max(packed, 1):
        _too_large(f"The archive unpacks to more than {MAX_RATIO} times its size.")


class _Gunzip(io.RawIOBase):
    """The unpacked content of a gzip file, with a limit on its size."""

    def __init__(self, data: bytes) -> None:
        self._rest = data
        self._packed = len(data)
        self._expanded = 0
        self._engine = zlib.decompressobj(wbits=31)

    def read(self, size: int = -1) -> bytes:
        want = 1 << 16 if size < 0 else max(size, 1)
        while not self._engine.eof:
            chunk = self._engine.decompress(self._rest, want)
            self._rest = self._engine.unconsumed_tail
            if chunk:
                self._expanded += len(chunk)
                _check_growth(self._expanded, self._packed)
                return chunk
            if not self._rest:
                raise EOFError("it ends too early")
        return b""


def _from_tar(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        _too_large(f"The archive has {len(data)} bytes; at most {MAX_BYTES} are read.")
    try:
        # Streaming: nothing is written anywhere, links are never followed.
        with tarfile.open(fileobj=_Gunzip(data), mode="r|") as archive:
            return _first_wanted(archive, len(data))
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError("BAD_ARCHIVE", f"The tar.gz archive cannot be read: {error}.") from None


def _first_wanted(archive: tarfile.TarFile, packed: int) -> bytes:
    names: list[str] = []
    found: bytes | None = None
    for member in _members(archive):
        if not member.isreg():
            continue
        names.append(member.name)
        best = _is_pipeline_yaml(member.name)
        if best or (found is None and member.name.lower().endswith(_WANTED)):
            file = archive.extractfile(member)
            found = b"" if file is None else _bounded(file.read, packed)
        if best:
            break
    if found is None:
        raise _nothing_wanted(names)
    return found


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(archive):
        if count >= MAX_ENTRIES:
            _too_large(f"The archive has more than {MAX_ENTRIES} entries.")
        yield member
        # tarfile's own list of members would grow with the archive.
        archive.members = []  # type: ignore[attr-defined]


def _is_pipeline_yaml(name: str) -> bool:
    return name.removeprefix("./") == "pipeline.yaml"


def _chosen(names: list[str]) -> int:
    for index, name in enumerate(names):
        if _is_pipeline_yaml(name):
            return index
    for index, name in enumerate(names):
        if name.lower().endswith(_WANTED):
            return index
    raise _nothing_wanted(names)


def _nothing_wanted(names: list[str]) -> DocumentError:
    if any(name.lower().endswith(_ARCHIVES) for name in names):
        return DocumentError("NESTED_ARCHIVE", "An archive in an archive is not unpacked: give pipeline.yaml itself.")
    listed = ", ".join(_shown(name) for name in names[:5]) or "nothing"
    return DocumentError("NOT_A_PIPELINE", f"There is no pipeline.yaml in the archive; there is {listed}.")
