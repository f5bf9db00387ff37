"""Component files, from texts, from disk, and from the web."""

from __future__ import annotations

import ast
import base64
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from headrace.components import v1
from headrace.dsl.base_component import YamlComponent
from headrace.dsl.errors import DslValueError
from headrace.spec.bootstrap import recognise
from headrace.spec.reading import MAX_BYTES, DocumentError, read_documents, read_pipeline

_TIMEOUT_S: Final = 30.0
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_HEADING: Final = "# Description: "
_CONTINUED: Final = "#             "


def load_component_from_text(text: str) -> YamlComponent:
    """Read a component from a text: IR YAML, as compilers write it, or the component YAML of KFP 1.

    Args:
        text: The YAML text.

    Returns:
        The component. Call it in a pipeline, or compile it.

    Raises:
        DocumentError: The text is neither of the two. It is a ValueError.

    Example:
        >>> from headrace import components
        >>> greet = components.load_component_from_text('''
        ... name: Greet
        ... inputs: [{name: name, type: String}]
        ... implementation:
        ...   container:
        ...     image: alpine
        ...     command: [echo, {inputValue: name}]
        ... ''')
        >>> greet.name
        'greet'
    """
    documents = [document for document in read_documents(text) if document is not None]
    if len(documents) == 1 and isinstance(documents[0], dict) and v1.is_v1(documents[0]):
        return YamlComponent(v1.component_spec(documents[0]), text)
    pipeline_spec, platform_spec = read_pipeline(text)
    _check_interface(pipeline_spec)
    return YamlComponent.from_ir(pipeline_spec, platform_spec, text, description(pipeline_spec, text))


def load_component_from_file(file_path: str | Path) -> YamlComponent:
    """Read a component from a file. See `load_component_from_text`.

    Args:
        file_path: The file; `~` is your home directory.

    Returns:
        The component. Call it in a pipeline, or compile it.

    Raises:
        OSError: The file cannot be read.
        DocumentError: The file holds neither IR YAML nor the component YAML of KFP 1.
    """
    return load_component_from_text(Path(file_path).expanduser().read_text(encoding="utf-8"))


def load_component_from_url(url: str, auth: tuple[str, str] | None = None) -> YamlComponent:
    """Read a component from the web. See `load_component_from_text`.

    Args:
        url: An `https://` address, an `http://` address of this machine, or a public object `gs://bucket/key`. At
            most 32 MiB.
        auth: User name and password for the address. Default: none.

    Returns:
        The component. Call it in a pipeline, or compile it.

    Raises:
        DslValueError: The address is of another kind (`URL_NOT_ALLOWED`), cannot be read (`URL_UNREACHABLE`) or
            holds too much (`URL_TOO_LARGE`).
        DocumentError: The text is neither IR YAML nor the component YAML of KFP 1.
    """
    return load_component_from_text(fetched(url, auth))


def description(pipeline_spec: dict[str, Any], text: str) -> str | None:
    """The description: the function's docstring, else the comment above the document."""
    return _docstring(pipeline_spec) or _heading(text) or pipeline_spec["pipelineInfo"].get("description")


def _check_interface(pipeline_spec: dict[str, Any]) -> None:
    info, root = pipeline_spec.get("pipelineInfo"), pipeline_spec.get("root")
    if not isinstance(info, dict) or not isinstance(info.get("name"), str) or not isinstance(root, dict):
        raise DocumentError("NOT_A_PIPELINE", "`pipelineInfo.name` and `root` are needed to load a component.")


def _docstring(pipeline_spec: dict[str, Any]) -> str | None:
    executors = (pipeline_spec.get("deploymentSpec") or {}).get("executors") or {}
    if len(executors) != 1:
        return None
    container = next(iter(executors.values())).get("container") or {}
    entry = recognise(container.get("command") or [], container.get("args") or [])
    if entry is None:
        return None
    try:
        module = ast.parse(entry.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == entry.function)
    return next((ast.get_docstring(function) for function in functions), None)


def _heading(text: str) -> str | None:
    lines = iter(text.splitlines())
    for line in lines:
        if not line.startswith("#"):
            return None
        if line.startswith(_HEADING):
            found = [line.removeprefix(_HEADING)]
            for more in lines:
                if not more.startswith(_CONTINUED):
                    break
                found.append(more.removeprefix(_CONTINUED).removeprefix(" "))
            return "\n".join(found)
    return None


# --- the web ---------------------------------------------------------------------------------


def fetched(url: str, auth: tuple[str, str] | None = None) -> str:
    """The text behind an address; at most 32 MiB, encrypted unless it is this machine's own."""
    if not isinstance(url, str):
        raise DslValueError("url must be a string.", code="URL_INVALID")
    if url.startswith("gs://"):
        url = "https://storage.googleapis.com/" + url.removeprefix("gs://")
    _check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": "headrace", "Accept": "*/*"})  # noqa: S310 (checked above)
    if auth is not None:
        # Not sent on to where a redirect points.
        request.add_unredirected_header("Authorization", "Basic " + _basic(auth))
    opener = urllib.request.build_opener(_CarefulRedirects())
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            data: bytes = response.read(MAX_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DslValueError(f"{_shown(url)} cannot be read: {error}.", code="URL_UNREACHABLE") from error
    if len(data) > MAX_BYTES:
        raise DslValueError(f"{_shown(url)} holds more than {MAX_BYTES} bytes.", code="URL_TOO_LARGE")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError("BINARY", f"{_shown(url)} is not UTF-8 text. Expected YAML.") from None


def _basic(auth: tuple[str, str]) -> str:
    return base64.b64encode(":".join(auth).encode()).decode("ascii")


def _shown(url: str) -> str:
    """The address without a user's name, password or query in it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise DslValueError(
        f"{_shown(url)!r} cannot be read: only https://, gs://, and http:// on this machine are allowed.",
        code="URL_NOT_ALLOWED",
        hint="download the file and use load_component_from_file.",
    )


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that could have been asked for."""

    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _check_address(newurl)
        except DslValueError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)
