"""What is known of a failure, as typed values, from the details that executors and the runtime record."""

from __future__ import annotations

import re

from headrace.engine.model import Json, Reason
from headrace.wire import api

_FRAME = re.compile(
    r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)\n(?: {4,}(?P<source>.*)\n?)?', re.MULTILINE
)
#: What lies in these folders is a library, not the user's.
_LIBRARIES = re.compile(r"/(?:site|dist)-packages/|/lib/python\d|^<frozen |/headrace/runtime/")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
#: Lines of a traceback that are kept.
_LINES = 24
#: Lines of code around a failure that are shown.
_CODE_LINES = 12

#: Packages whose name is not that of the module they are imported by.
PACKAGES = {
    "Crypto": "pycryptodome",
    "Levenshtein": "python-Levenshtein",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "google.cloud.aiplatform": "google-cloud-aiplatform",
    "google.cloud.bigquery": "google-cloud-bigquery",
    "google.cloud.storage": "google-cloud-storage",
    "google.protobuf": "protobuf",
    "igraph": "python-igraph",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "kubernetes": "kubernetes",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    # Later versions do not have it.
    "pkg_resources": "setuptools<82",
    "distutils": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pytorch_lightning": "pytorch-lightning",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snowflake": "snowflake-connector-python",
    "tabpfn": "tabpfn",
    "umap": "umap-learn",
    "usb": "pyusb",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}


def failure_view(reason: Reason) -> api.FailureView:
    """What the reason's details say, and its text where they do not."""
    details = reason.details
    trace = _text(details.get("traceback"))
    where = _recorded_place(details) or _own_frame(trace)
    module = missing_module(reason)
    return api.FailureView(
        exception_type=_text(details.get("exception_type")),
        exception_message=_text(details.get("exception_message")),
        file=where["file"] if where else "",
        line=int(where["line"]) if where else _number(details.get("line")),
        function=where["function"] if where else _text(details.get("function")),
        source_line=(where["source"] or "") if where else _text(details.get("source_line")),
        lines=_lines(details.get("lines")),
        traceback="\n".join(trace.rstrip().splitlines()[-_LINES:]),
        exit_code=_number(details.get("exit_code")),
        signal=_text(details.get("signal")),
        module=module,
        packages=[package_of(module)] if module else [str(one) for one in details.get("packages", [])],
        image=_text(details.get("image")),
        told=_said(reason),
        limit=_limit(details),
    )


def missing_module(reason: Reason) -> str:
    """The module that could not be imported; "" when that is not what happened."""
    if reason.code != "MODULE_NOT_FOUND":
        return ""
    found = _NO_MODULE.search(_text(reason.details.get("exception_message")) or reason.message)
    return found[1] if found else ""


def package_of(module: str) -> str:
    """The package that most likely provides a module."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in PACKAGES:
            return PACKAGES[name]
    return "-".join(parts[:3]) if parts[0] == "google" else parts[0].replace("_", "-")


def _recorded_place(details: dict[str, Json]) -> dict[str, str] | None:
    """The place that the runtime has found; None where an earlier version of it ran, or none of ours."""
    file, line = _text(details.get("file")), _number(details.get("line"))
    if not file or line is None:
        return None
    function, source = _text(details.get("function")), _text(details.get("source_line"))
    return {"file": file.rsplit("/", 1)[-1], "line": str(line), "function": function, "source": source}


def _lines(value: Json) -> list[api.CodeLine]:
    """Lines of code as the runtime records them: `[[number, text]]`. A task can have written anything."""
    found = [one for one in value if isinstance(one, list) and len(one) == 2] if isinstance(value, list) else []
    return [api.CodeLine(number=_number(number) or 0, text=_text(text)) for number, text in found[:_CODE_LINES]]


def _own_frame(trace: str) -> dict[str, str] | None:
    """The innermost frame of the user's own; else the innermost of all."""
    frames = [match.groupdict() for match in _FRAME.finditer(trace)]
    own = [frame for frame in frames if not _LIBRARIES.search(frame["file"])]
    found = (own or frames)[-1] if frames else None
    return None if found is None else {**found, "file": found["file"].rsplit("/", 1)[-1]}


def _said(reason: Reason) -> str:
    """What another program said: all but the first line of our own sentence."""
    if "exception_type" in reason.details:
        return ""
    return "\n".join(reason.message.splitlines()[1:])


def _limit(details: dict[str, Json]) -> str:
    if "timeout_s" in details:
        return f"{details['timeout_s']:g} s"
    return str(details["limit"]) if "limit" in details else ""


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
