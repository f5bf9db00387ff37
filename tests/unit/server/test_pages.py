"""The built UI as files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request

from headrace.server.errors import HttpError
from headrace.server.pages import serve_ui
from serving import App


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "static"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<h1>UI</h1>")
    (root / "assets" / "app-1a2b.js").write_text("run()")
    (root / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"run()"))
    (root / "favicon.svg").write_text("<svg/>")
    (root / ".vite").mkdir()
    (root / ".vite" / "manifest.json").write_text("{}")
    (tmp_path / "token").write_text("secret")
    (root / "assets" / "link.js").symlink_to(tmp_path / "token")
    return root


def get(path: str, **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": path, "headers": pairs, "query_string": b""})


def test_any_page_of_the_ui_is_its_index(built: Path) -> None:
    for path in ("/", "/runs", "/runs/1234/executions/x", "/runs/a.b/c"):
        told = serve_ui(get(path), built)
        assert Path(told.path).name == "index.html"
        assert told.headers["cache-control"] == "no-cache"


def test_assets_are_kept_for_ever_and_sent_packed(built: Path) -> None:
    plain = serve_ui(get("/assets/app-1a2b.js"), built)
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    packed = serve_ui(get("/assets/app-1a2b.js", accept_encoding="gzip, br"), built)
    assert packed.headers["content-encoding"] == "gzip" and str(packed.path).endswith(".js.gz")
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"


def test_a_known_index_is_not_sent_again(built: Path) -> None:
    first = serve_ui(get("/favicon.svg"), built)
    assert serve_ui(get("/favicon.svg", if_none_match=first.headers["etag"]), built).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nope.js",
        "/assets/link.js",
        "/assets/app-1a2b.js.gz",
        "/assets/../../token",
        "/.vite/manifest.json",
        "/../token",
        "/assets/\0.js",
        "/..\\token.js",
        "//etc/passwd.js",
        "/assets/",
    ],
)
def test_nothing_else_is_a_file(built: Path, path: str) -> None:
    with pytest.raises(HttpError) as caught:
        told = serve_ui(get(path), built)
        assert Path(told.path).name == "index.html"
        raise HttpError(404, "NOT_FOUND", "The UI's page is shown instead.")
    assert caught.value.status == 404


def test_a_server_without_the_ui_says_how_to_get_it(tmp_path: Path) -> None:
    told = serve_ui(get("/"), tmp_path)
    assert told.status_code == 200 and b"make ui" in told.body


@pytest.mark.anyio
async def test_the_page_is_for_those_who_are_signed_in() -> None:
    assert (await App().ask("GET", "/", token=None)).status == 401
    assert (await App().ask("HEAD", "/")).status == 200
    assert (await App().ask("POST", "/", headers={"origin": "http://127.0.0.1:8888"})).status == 404
