"""The built web UI as files, and the few pages that are written here."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from headrace.server.errors import HttpError

STATIC = Path(__file__).with_name("static")

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>Headrace</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>{title}</h1>{body}</html>"""
_NOT_BUILT = (
    "<p>The server works, but its web page has not been built. In Headrace's source directory:</p>"
    "<pre>make ui</pre><p>The API is at <a href='/api/openapi.json'>/api/openapi.json</a>.</p>"
)
_SIGN_IN = (
    "<p>This browser is not signed in. Open the link that Headrace printed when it started, or get a new one:</p>"
    "<pre>headrace ui</pre>"
)


#: Characters of a path of the UI; a longer one is a mistake.
_LONGEST_PATH = 2000


def wants_page(request: Request) -> bool:
    """Whether a person looks at this, rather than a program."""
    return "text/html" in request.headers.get("accept", "")


def message_page(title: str, body: str, status: int) -> Response:
    """A page with a heading and ready-made HTML."""
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), status, {"cache-control": "no-store"})


def sign_in_page() -> Response:
    """What a browser without a session sees."""
    return message_page("Sign in to Headrace", _SIGN_IN, 401)


def error_page(error: HttpError) -> Response:
    """An error for a person."""
    return message_page(
        "This did not work", f"<p>{escape(error.message)}</p><p><small>{error.code}</small></p>", error.status
    )


def serve_ui(request: Request, root: Path = STATIC) -> Response:
    """A built file; for any other path without an ending, the UI's one page, which knows its own paths."""
    path = request.scope["path"]
    file = _file(root, path)
    if file is not None and file.name != "index.html":
        return _file_response(request, file, forever=path.startswith("/assets/"))
    if path.startswith("/assets/") or Path(path).suffix or len(path) > _LONGEST_PATH:
        raise HttpError(404, "NOT_FOUND", "There is no such file.")
    index = root / "index.html"
    if not index.is_file():
        return message_page("Headrace is running", _NOT_BUILT, 200)
    return _file_response(request, index, forever=False)


def _file(root: Path, path: str) -> Path | None:
    """The file of this path, if the build made one; never one outside, hidden or packed."""
    pieces = path.strip("/").split("/")
    if any(not piece or piece.startswith(".") or "\\" in piece or "\0" in piece for piece in pieces):
        return None
    file = root.joinpath(*pieces)
    try:
        is_built = file.suffix != ".gz" and file.is_file() and file.resolve().is_relative_to(root.resolve())
    except OSError:  # a name that is too long for a file
        return None
    return file if is_built else None


def _file_response(request: Request, file: Path, *, forever: bool) -> Response:
    packed = file.with_name(file.name + ".gz")
    unpacked_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if forever else "no-cache",
        "vary": "accept-encoding",
    }
    stat = file.stat()
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    if not forever and request.headers.get("if-none-match") == etag:
        return Response(None, 304, headers | {"etag": etag})
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        file, headers = packed, headers | {"content-encoding": "gzip"}
    headers |= {"etag": etag, "last-modified": formatdate(stat.st_mtime, usegmt=True)}
    return FileResponse(file, 200, headers, unpacked_type)
