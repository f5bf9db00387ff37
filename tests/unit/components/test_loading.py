"""Components from texts, files and addresses."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headrace import components, dsl
from headrace.components import v1
from headrace.components.loading import description
from headrace.dsl.errors import DslError, DslValueError
from headrace.dsl.structures import ContainerImplementation
from headrace.spec.reading import DocumentError

HELLO = """
name: Say hello
description: Greets.
inputs: [{name: Who To Greet, type: String, default: you}]
outputs: [{name: said, type: String}]
implementation:
  container: {image: busybox, command: [sh, -c, 'echo $0 > $1', {inputValue: Who To Greet}, {outputPath: said}]}
"""


def test_a_v1_text() -> None:
    hello = components.load_component_from_text(HELLO)
    assert isinstance(hello, components.YamlComponent)
    assert (hello.name, hello.description, hello.required_inputs) == ("say-hello", "Greets.", [])
    container = hello.component_spec.implementation
    assert isinstance(container, ContainerImplementation)
    assert [str(word) for word in container.command] == [
        "sh", "-c", "echo $0 > $1", "{{$.inputs.parameters['who_to_greet']}}", "{{$.outputs.parameters['said'].output_file}}",
    ]  # fmt: skip


def test_modules_users_import() -> None:
    from headrace.components.base_component import BaseComponent
    from headrace.components.placeholders import ConcatPlaceholder

    assert BaseComponent is components.BaseComponent
    assert ConcatPlaceholder is dsl.ConcatPlaceholder


def test_a_file_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hello.yaml").write_text(HELLO)
    assert components.load_component_from_file("~/hello.yaml").name == "say-hello"
    assert components.load_component_from_file(tmp_path / "hello.yaml").name == "say-hello"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("implementation: {graph: {tasks: {}}}", "V1_NOT_A_CONTAINER"),
        ("implementation: {container: {command: [a]}}", "V1_IMAGE_MISSING"),
        ("implementation: {container: {image: a, command: a}}", "V1_COMMAND_INVALID"),
        ("implementation: {container: {image: a, command: [[a]]}}", "V1_COMMAND_INVALID"),
        ("implementation: {container: {image: a, command: [{inputValue: x}]}}", "PLACEHOLDER_UNKNOWN_NAME"),
        ("implementation: {container: {image: a, command: [{inputMetadata: x}]}}", "V1_PLACEHOLDER_UNKNOWN"),
        ("implementation: {container: {image: a, command: [{if: {cond: true, then: a}}]}}", "V1_CONDITION"),
        ("inputs: [{name: a}, {name: a}]\nimplementation: {container: {image: a}}", "V1_NAME_TWICE"),
        ("inputs: [{type: String}]\nimplementation: {container: {image: a}}", "V1_INTERFACE_INVALID"),
        ("inputs: {a: String}\nimplementation: {container: {image: a}}", "V1_INTERFACE_INVALID"),
        ("inputs: [{name: a, type: Integer, default: x}]\nimplementation: {container: {image: a}}", "V1_DEFAULT_INVALID"),
        ("inputs: [{name: a, type: Bool, default: perhaps}]\nimplementation: {container: {image: a}}", "V1_DEFAULT_INVALID"),
        ("inputs: [{name: a, type: List, default: '{}'}]\nimplementation: {container: {image: a}}", "V1_DEFAULT_INVALID"),
        ("inputs: [{name: a, type: Dict, default: '{'}]\nimplementation: {container: {image: a}}", "V1_DEFAULT_INVALID"),
    ],
)  # fmt: skip
def test_v1_texts_that_cannot_be_used(text: str, code: str) -> None:
    with pytest.raises(DslError) as caught:
        components.load_component_from_text(text)
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["", "a: b", "[1]", "a: &x 1\nb: *x", "pipelineInfo: {name: 1}", "{" * 1000])
def test_other_texts(text: str) -> None:
    with pytest.raises(DocumentError):
        components.load_component_from_text(text)


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("Bool", "'False'", False),
        ("Bool", "'no'", False),
        ("Bool", "'1'", True),
        ("Bool", "true", True),
        ("Integer", "'3'", 3),
        ("Float", "'0.5'", 0.5),
        ("JsonArray", "'[1]'", [1]),
        ("JsonObject", "{a: 1}", {"a": 1}),
        ("String", "5", "5"),
    ],
)
def test_a_default_is_read_by_its_type(type_name: str, text: str, value: object) -> None:
    found = components.load_component_from_text(
        f"name: c\ninputs: [{{name: a, type: {type_name}, default: {text}}}]\n"
        "implementation: {container: {image: i, command: [echo, {inputValue: a}]}}\n"
    )
    default = found.component_spec.inputs["a"].default
    assert (default, type(default)) == (value, type(value))


def test_file_outputs_are_told_of() -> None:
    text = "outputs: [{name: a}]\nimplementation: {container: {image: a, fileOutputs: {a: /x}}}"
    with pytest.warns(UserWarning, match="outputPath"):
        components.load_component_from_text(text)


@pytest.mark.parametrize("name", ["Integer", "int", "JsonArray", "typing.Dict[str, int]", "PipelineTaskFinalStatus"])
def test_parameter_types(name: str) -> None:
    assert hasattr(v1.value_type(name), "kind")


def test_the_description_above_a_document() -> None:
    text = "# PIPELINE DEFINITION\n# Name: a\n# Description: one\n#              two\n# Inputs:\nx: y\n"
    assert description({"pipelineInfo": {"name": "a"}}, text) == "one\ntwo"
    assert description({"pipelineInfo": {"name": "a", "description": "d"}}, "x: y") == "d"


class _Page(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/to="):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to="))
            self.end_headers()
            return
        self.send_response(200 if self.path != "/gone" else 404)
        self.end_headers()
        self.wfile.write(b"\xff\xfe\x00" if self.path == "/binary" else HELLO.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    _Page.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address(site: str) -> None:
    assert components.load_component_from_url(f"{site}/hello.yaml").name == "say-hello"
    assert components.load_component_from_url(f"{site}/hello.yaml", auth=("me", "secret")).name == "say-hello"
    expected = "Basic " + base64.b64encode(b"me:secret").decode()
    assert _Page.seen == [("/hello.yaml", None), ("/hello.yaml", expected)]


def test_the_password_does_not_follow_a_redirect(site: str) -> None:
    components.load_component_from_url(f"{site}/to={site}/hello.yaml", auth=("me", "secret"))
    assert [authorization is not None for _, authorization in _Page.seen] == [True, False]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/gone", "URL_UNREACHABLE"),
        ("/to=http://example.com/x", "URL_NOT_ALLOWED"),
        ("/to=file:///etc/passwd", "URL_UNREACHABLE"),
    ],
)
def test_addresses_that_give_nothing(site: str, path: str, code: str) -> None:
    with pytest.raises(DslValueError) as caught:
        components.load_component_from_url(site + path)
    assert caught.value.code == code


def test_no_more_than_the_limit_is_taken(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.components.loading.MAX_BYTES", 100)
    with pytest.raises(DslValueError) as caught:
        components.load_component_from_url(site + "/hello.yaml")
    assert caught.value.code == "URL_TOO_LARGE"


def test_a_binary_page(site: str) -> None:
    with pytest.raises(DocumentError, match="not UTF-8"):
        components.load_component_from_url(site + "/binary")


@pytest.mark.parametrize(
    "url", ["http://example.com/a.yaml", "file:///etc/passwd", "ftp://x/y", "/etc/passwd", "", None]
)
def test_addresses_that_are_not_asked(url: str) -> None:
    with pytest.raises(DslValueError):
        components.load_component_from_url(url)


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(DslValueError) as caught:
        components.load_component_from_url("http://me:secret@example.com/a?token=t0ken")
    assert "secret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)
