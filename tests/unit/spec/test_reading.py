"""Texts of others: what is read, what is refused, and that neither takes long."""

import datetime
import io
import json
import tarfile
import time
import zipfile
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.spec.reading import (
    MAX_DEPTH,
    DocumentError,
    read_documents,
    read_json,
    read_one,
    read_pipeline,
    read_pipeline_file,
    read_upload,
)

PIPELINE = {"pipelineInfo": {"name": "p"}, "root": {"dag": {}}, "schemaVersion": "2.1.0"}
PLATFORM = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
TEXT = yaml.safe_dump(PIPELINE)
BOTH = TEXT + "---\n" + yaml.safe_dump(PLATFORM)


def code_of(data: str | bytes, read: Any = read_pipeline) -> str:
    with pytest.raises(DocumentError) as caught:
        read(data)
    assert len(str(caught.value)) < 500
    return caught.value.code


# --- what is read ---


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        (TEXT, None),
        (BOTH, PLATFORM),
        (yaml.safe_dump(PLATFORM) + "---\n" + TEXT, PLATFORM),
        ("# PIPELINE DEFINITION\n# Name: p\n---\n" + BOTH + "---\n", PLATFORM),
        (json.dumps(PIPELINE), None),
        (json.dumps({"pipeline_spec": PIPELINE, "platform_spec": PLATFORM}), PLATFORM),
        (json.dumps({"pipelineSpec": PIPELINE, "runtimeConfig": {}}), None),
        ("\ufeff" + TEXT, None),
        (TEXT.replace("\n", "\r\n"), None),
    ],
)
def test_pipelines(text: str, platform: Any) -> None:
    assert read_pipeline(text) == (PIPELINE, platform)
    assert read_pipeline(text.encode()) == (PIPELINE, platform)
    for encoding in ("utf-16-le", "utf-16-be"):
        file = read_upload(f"\ufeff{text.removeprefix(chr(0xFEFF))}".encode(encoding))
        assert (file.pipeline_spec, file.platform_spec) == (PIPELINE, platform), encoding


def test_manifests() -> None:
    version = {
        "apiVersion": "pipelines.kubeflow.org/v2beta1",
        "kind": "PipelineVersion",
        "metadata": {"name": "v1", "namespace": "n"},
        "spec": {"pipelineSpec": PIPELINE, "platformSpec": PLATFORM, "displayName": "One", "description": "d"},
    }
    pipeline = {"apiVersion": "pipelines.kubeflow.org/v2beta1", "kind": "Pipeline", "metadata": {"name": "mine"}}
    file = read_pipeline_file(yaml.safe_dump_all([pipeline, version]))
    assert (file.pipeline_spec, file.platform_spec) == (PIPELINE, PLATFORM)
    assert (file.pipeline_name, file.version_name, file.display_name, file.description) == ("mine", "v1", "One", "d")
    assert code_of(yaml.safe_dump(pipeline)) == "NOT_A_PIPELINE"
    assert code_of(yaml.safe_dump_all([version, version])) == "NOT_A_PIPELINE"
    assert code_of(yaml.safe_dump_all([version, pipeline, pipeline])) == "TOO_MANY_DOCUMENTS"


SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12),
    st.text("0123456789+-._eExXob:~ynotfNO", max_size=8),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def as_json(text: str) -> Any:
    """The value of a text that is JSON, else None."""
    try:
        return json.loads(text)
    except ValueError:
        return None


@given(VALUES, st.sampled_from([True, False, None]))
@example(["0E0"], True)
@settings(deadline=None)
def test_what_pyyaml_writes_is_read(value: Any, flow: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    # What is JSON as well is read as JSON: in `[0E0]` YAML 1.1 sees a text, JSON a number.
    assert read_documents(text) == [as_json(text) if text.startswith("[") and as_json(text) is not None else value]


@given(VALUES)
@settings(deadline=None)
def test_json_is_read_as_json(value: Any) -> None:
    assert read_json(json.dumps(value)) == value
    assert read_one(json.dumps({"x": value})) == {"x": value}


@given(st.text("0123456789+-._eExXobaflnTRUEINF:~ytrs", min_size=1, max_size=10))
@settings(deadline=None)
def test_plain_scalars_are_what_pyyaml_takes_them_for(text: str) -> None:
    try:
        expected = yaml.load(f"- {text}", yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return
    try:
        found = read_documents(f"- {text}")[0]
    except DocumentError as error:
        assert error.code in ("BAD_NUMBER", "NOT_YAML")
        return
    if ":" in text or any(isinstance(item, datetime.date) for item in expected):
        return  # times of day and dates stay texts
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


@pytest.mark.parametrize("sign", ["", "-", "+"])
@pytest.mark.parametrize(
    "text",
    ["0", "7", "10", "017", "0_17", "08", "0b101", "0b1_0", "0x1F", "0x_f", "1_000", "1.5", "1.", ".5", "1.5e+3"],
)
def test_numbers_are_what_pyyaml_reads(sign: str, text: str) -> None:
    expected = yaml.safe_load(f"- {sign}{text}")
    assert read_documents(f"- {sign}{text}") == [expected]
    assert type(read_documents(f"- {sign}{text}")[0][0]) is type(expected[0])


def test_dates_and_times_stay_texts() -> None:
    assert read_documents("[2020-01-01, 12:30:00, 2020-01-01T00:00:00Z]") == [
        ["2020-01-01", "12:30:00", "2020-01-01T00:00:00Z"]
    ]


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "NOT_A_PIPELINE"),
        ("# nothing", "NOT_A_PIPELINE"),
        ("a: b: c", "NOT_YAML"),
        ("a: [", "NOT_YAML"),
        ("{a: b", "NOT_YAML"),
        ("\t", "NOT_YAML"),
        ("hello", "NOT_A_PIPELINE"),
        ("[1, 2]", "NOT_A_PIPELINE"),
        ("a: 1", "NOT_A_PIPELINE"),
        (yaml.safe_dump(PLATFORM), "NOT_A_PIPELINE"),
        ("a: &x 1\nb: *x", "ALIASES"),
        ("a: {<<: {b: 1}}", "ALIASES"),
        ("a: 1\na: 2", "DUPLICATE_KEY"),
        ('{"a": 1, "a": 2}', "DUPLICATE_KEY"),
        ("a: !!python/object:os.system x", "TAGS"),
        ("a: !x {}", "TAGS"),
        ("a: ! x", "TAGS"),
        ("1: a", "NOT_YAML"),
        ("on: a", "NOT_YAML"),
        ("? [a]\n: b", "NOT_YAML"),
        ("a: .nan", "BAD_NUMBER"),
        ("a: -.INF", "BAD_NUMBER"),
        ('{"a": NaN}', "BAD_NUMBER"),
        ('{"a": 1e999}', "BAD_NUMBER"),
        ('{"a": "\\ud800"}', "BAD_TEXT"),
        ("a: '\ud800'", "BAD_TEXT"),
        ("a: " + "1" * 5000, "BAD_NUMBER"),
        ('{"a": ' + "1" * 5000 + "}", "BAD_NUMBER"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "TOO_DEEP"),
        ("- " * (MAX_DEPTH + 1) + "a", "TOO_DEEP"),
        ("\0", "BINARY"),
        (BOTH + "---\n" + yaml.safe_dump(PLATFORM), "TOO_MANY_DOCUMENTS"),
        (TEXT + "---\n" + TEXT, "TOO_MANY_DOCUMENTS"),
        (TEXT + "---\na: b", "TOO_MANY_DOCUMENTS"),
        ("--- a\n" * 200, "TOO_MANY_DOCUMENTS"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {}", "UNSUPPORTED_SCHEMA"),
        ("name: c\nimplementation: {container: {image: a}}", "UNSUPPORTED_SCHEMA"),
        (TEXT.replace("2.1.0", "3.0.0"), "UNSUPPORTED_SCHEMA"),
        (TEXT.replace("2.1.0", "2.1"), "UNSUPPORTED_SCHEMA"),
        ("apiVersion: v1\nkind: Pod", "NOT_A_PIPELINE"),
        (json.dumps({"pipeline_spec": 1}), "NOT_A_PIPELINE"),
        (json.dumps({"pipeline_spec": PIPELINE, "platform_spec": []}), "NOT_A_PIPELINE"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    assert code_of(text.encode() if code == "BINARY" else text) == code


@pytest.mark.parametrize("data", [b"\x80\x04\x95abc", b"PK\x03\x04", b"\x1f\x8b", b"\x7fELF", b"\xff\xff", b"%PDF-1.4"])
def test_binaries(data: bytes) -> None:
    assert code_of(data) == "BINARY"


def test_where_the_fault_is() -> None:
    with pytest.raises(DocumentError) as caught:
        read_pipeline("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert (caught.value.line, caught.value.column) == (4, 3)
    assert str(caught.value) == "line 4, column 3: The key 'c' is given twice in one map."


def test_what_to_do_with_old_files() -> None:
    with pytest.raises(DocumentError, match="Compile the pipeline's Python source again"):
        read_pipeline("apiVersion: argoproj.io/v1alpha1\nkind: Workflow")
    with pytest.raises(DocumentError, match="load_component_from_file"):
        read_pipeline("implementation: {container: {}}")


def test_nesting_up_to_the_limit_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_documents(text) == [json.loads(text)]
    assert read_documents("- " * MAX_DEPTH + "[]".replace("[]", "1")) is not None


# --- archives ---


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize(
    "files",
    [
        {"pipeline.yaml": BOTH.encode()},
        {"other.yaml": b"a: b", "./pipeline.yaml": BOTH.encode()},
        {"readme.md": b"x", "deep/any.yml": BOTH.encode(), "later.yaml": b"a: b"},
        {"p.json": json.dumps(PIPELINE).encode()},
    ],
)
def test_archives(pack: Any, files: dict[str, bytes]) -> None:
    assert read_upload(pack(files)).pipeline_spec == PIPELINE


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "NOT_A_PIPELINE"),
        ({"a.txt": b"x"}, "NOT_A_PIPELINE"),
        ({"inner.zip": b"x"}, "NESTED_ARCHIVE"),
        ({"pipeline.yaml": zip_of({"pipeline.yaml": b"a"})}, "BINARY"),
        ({f"{n}.txt": b"" for n in range(1100)}, "TOO_LARGE"),
        ({"pipeline.yaml": b" " * (40 << 20)}, "TOO_LARGE"),
        ({"pipeline.yaml": b"a: b"}, "NOT_A_PIPELINE"),
    ],
)
def test_archives_that_are_refused(pack: Any, files: dict[str, bytes], code: str) -> None:
    assert code_of(pack(files), read_upload) == code


def test_links_in_archives_are_not_followed() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("pipeline.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert code_of(out.getvalue(), read_upload) == "NOT_A_PIPELINE"


@pytest.mark.parametrize("data", [tar_of({"pipeline.yaml": BOTH.encode()}), zip_of({"pipeline.yaml": BOTH.encode()})])
def test_damaged_archives(data: bytes) -> None:
    for cut in range(2, len(data) - 1, 7):
        code_of(data[:cut], read_upload) if data[:2] != b"\x1f\x8b" else _reads_or_refuses(data[:cut])
    for place in range(2, len(data), 3):
        _reads_or_refuses(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])


def _reads_or_refuses(data: bytes) -> None:
    try:
        read_upload(data)
    except DocumentError:
        pass


def test_an_encrypted_zip() -> None:
    data = bytearray(zip_of({"pipeline.yaml": b"a: b"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert code_of(bytes(data), read_upload) == "BAD_ARCHIVE"


@pytest.mark.parametrize(("size", "refused"), [(4, False), (20, True)])
def test_an_archive_may_not_grow_to_more_than_a_hundred_times_its_size(size: int, refused: bool) -> None:
    data = tar_of({"zeros.bin": bytes(size * 1024 * 1024), "pipeline.yaml": BOTH.encode()})
    if not refused:
        assert read_upload(data).pipeline_spec == PIPELINE
        return
    with pytest.raises(DocumentError, match="more than 100 times its size") as caught:
        read_upload(data)
    assert caught.value.code == "TOO_LARGE"


# --- bombs and noise ---

ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "aliases": ALIAS_BOMB.encode(),
    "flow nesting": b"[" * 300_000,
    "flow nesting in a map": b"{a: " * 300_000,
    "json nesting": b'{"a":' * 1_000_000,
    "block nesting": b"- " * 300_000,
    "complex keys": b"? " * 300_000,
    "json values": b'{"a":[' + b"1," * 10_000_000 + b"1]}",
    "quotes": b'{"' + b'\\"' * 5_000_000,
    "tag directives": b"".join(b"%%TAG !a%d! x\n" % n for n in range(200_000)) + b"--- a",
    "documents": b"---\n" * 5_000_000,
    "colons": b":" * 10_000_000,
    "dashes": b"-" * 10_000_000,
    "open quote": b"'" + b"a\n" * 5_000_000,
    "digits": b"a: " + b"1" * 10_000_000,
    "underscores": b"a: 1" + b"_" * 10_000_000 + b"x",
    "decimals": b"a: 1." + b"_1" * 5_000_000 + b"x",
    "escapes": b'a: "' + b"\\x41" * 2_000_000,
    "too long": b" " * (33 << 20),
    "gzip": tar_of({"pipeline.yaml": b"\0" * (60 << 20)}),
    "zip": zip_of({"pipeline.yaml": b" " * (60 << 20)}),
    "zip in zip": zip_of({"a.zip": zip_of({"a.zip": zip_of({"pipeline.yaml": b"a"})})}),
    "many entries": tar_of({f"{n}": b"" for n in range(5000)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_soon(name: str) -> None:
    began = time.process_time()
    code_of(BOMBS[name], read_upload)
    assert time.process_time() - began < 2


@pytest.mark.slow
@pytest.mark.parametrize("layout", [b"- 1\n%s", b"a: [%s]"])
def test_a_million_values_are_too_many(layout: bytes) -> None:
    """However many values follow the last one that is read, they cost little: a ratio, for machines differ in speed."""
    item = b"- 1\n" if layout.startswith(b"-") else b"1,"
    few, many = layout % (item * 900_000), layout % (item * 8_000_000)
    started_at = time.process_time()
    assert code_of(few) != "TOO_LARGE"
    seconds_for_few = time.process_time() - started_at
    started_at = time.process_time()
    assert code_of(many) == "TOO_LARGE"
    assert time.process_time() - started_at < 3 * seconds_for_few


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _reads_or_refuses(data)
    _reads_or_refuses(b"\x1f\x8b" + data)
    _reads_or_refuses(b"PK\x03\x04" + data)


@given(st.text("ab:-[]{}&*!|>'\"%#?,\n \t~<1.@`\\", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    try:
        ours = read_documents(text)
    except DocumentError:
        return
    assert json.loads(json.dumps(ours)) == ours


@given(st.data())
@settings(deadline=None)
def test_damaged_pipelines_are_read_or_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BOTH) - 1))
    noise = data.draw(st.text("ab:-[]{}&*!|>'\"%#?,\n \t", max_size=5))
    try:
        read_pipeline(BOTH[:place] + noise + BOTH[place + data.draw(st.integers(0, 3)) :])
    except DocumentError as error:
        assert error.code == error.code.upper()
