"""What a real browser makes of our headers: the session, the frame for strangers' HTML, text read by scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.server.serve import Running, in_background
from headrace.service.access import Resource, Verb
from headrace.service.session import needs
from headrace.service.settings import Settings
from serving import ARTIFACT, FILES, FOLDER, EmptyService, EmptySession

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: An artifact that tries what it must not.
HOSTILE = """<h1>report</h1><script>
const told = {origin: window.origin};
const attempt = async (name, deed) => {
  try { told[name] = String(await deed()); } catch (error) { told[name] = "refused"; }
};
(async () => {
  await attempt("cookie", () => document.cookie);
  await attempt("storage", () => localStorage.length);
  await attempt("parent", () => parent.document.title);
  await attempt("api", async () => (await fetch(APP + "/api/session", {credentials: "include"})).status);
  await attempt("beacon", () => new Promise((yes, no) => {
    const image = new Image(); image.onload = yes; image.onerror = no; image.src = APP + "/favicon.svg";
  }));
  if (top !== window) await attempt("top", () => { top.location = "about:blank#gone"; });
  await attempt("popup", () => window.open("about:blank") === null ? "refused" : "opened");
  parent.postMessage(told, "*");
})();
</script>"""


class HostileSession(EmptySession):
    """The report is not our friend's."""

    content = b""

    @needs(Resource.CONTENT, Verb.READ)
    async def find_content(self, artifact_id: str, member: str = ""):  # type: ignore[no-untyped-def]
        record, size = await super().find_content(artifact_id, member)
        return record, len(self.content) if artifact_id == ARTIFACT else size

    @needs(Resource.CONTENT, Verb.READ)
    async def read_artifact(self, artifact_id: str, **part):  # type: ignore[no-untyped-def,override]
        if artifact_id == ARTIFACT:
            yield self.content
        else:
            async for piece in super().read_artifact(artifact_id, **part):
                yield piece


class Hostile(EmptyService):
    """A service with such a report."""

    session = HostileSession


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with in_background(Settings(home=tmp_path / "home"), port=0, open_service=Hostile.open) as server:
        HostileSession.content = HOSTILE.replace("APP", repr(server.info.url)).encode()
        yield server


@pytest.fixture
def page(running: Running, browser):  # type: ignore[no-untyped-def]
    page = browser.new_page()
    page.goto(running.sign_in_link())
    yield page
    page.close()


SECRET = "'headrace-session-secret': localStorage.getItem('headrace.session-secret')"
LINK = """async ([id, body]) => (await (await fetch(`/api/artifacts/${id}/link`, {method: "POST",
  headers: {"content-type": "application/json", SECRET}, body: JSON.stringify(body)})).json()).url""".replace(
    "SECRET", SECRET
)


def test_a_link_signs_in_and_the_session_works(running: Running, page) -> None:  # type: ignore[no-untyped-def]
    page.wait_for_function("localStorage.getItem('headrace.session-secret') !== null")
    assert page.url.startswith(running.info.url + "/") and "code" not in page.url and "secret" not in page.url
    asked = "async headers => (await fetch('/api/session', {headers})).status"
    assert page.evaluate(asked, {}) == 401
    assert page.evaluate(f"async () => (await fetch('/api/session', {{headers: {{{SECRET}}}}})).status") == 200
    assert page.evaluate("document.cookie") == ""
    page.goto(running.info.url.replace("127.0.0.1", "localhost") + "/runs/1")
    assert page.url == running.info.url + "/runs/1"


def test_html_of_strangers_is_shown_and_can_do_nothing(running: Running, page) -> None:  # type: ignore[no-untyped-def]
    url = page.evaluate(LINK, [ARTIFACT, {}])
    told = page.evaluate(
        """url => new Promise(yes => {
          addEventListener("message", event => yes(event.data));
          const frame = document.createElement("iframe");
          frame.sandbox = "allow-scripts"; frame.src = url;
          document.body.append(frame);
        })""",
        url,
    )
    assert told == {
        "origin": "null",
        "cookie": "refused",
        "storage": "refused",
        "parent": "refused",
        "api": "refused",
        "beacon": "refused",
        "top": "refused",
        "popup": "refused",
    }
    assert page.url.startswith(running.info.url + "/")


def test_the_same_opened_by_itself_is_still_in_the_sandbox(running: Running, page) -> None:  # type: ignore[no-untyped-def]
    url = page.evaluate(LINK, [ARTIFACT, {}])
    page.goto(url)
    assert page.evaluate("window.origin") == "null"
    assert page.inner_text("h1") == "report"


def test_scripts_of_ours_read_parts_of_content_from_the_other_origin(page) -> None:  # type: ignore[no-untyped-def]
    url = page.evaluate(LINK, [FOLDER, {"member": "a/note.txt"}])
    text = "async url => { const r = await fetch(url, {headers: {Range: 'bytes=2-4'}}); return [r.status, await r.text()]; }"
    assert page.evaluate(text, url) == [206, FILES[FOLDER]["a/note.txt"][2:5].decode()]


def test_our_pages_cannot_be_framed_or_scripted(running: Running, page) -> None:  # type: ignore[no-untyped-def]
    # In a task of its own: what a debugger evaluates directly may do more than the page's own scripts.
    evaluated = page.evaluate(
        """() => new Promise(yes => setTimeout(() => {
          try { eval("1"); yes("ran"); } catch (error) { yes(error.name); }
        }, 0))"""
    )
    assert evaluated == "EvalError"
    assert page.evaluate("() => { try { document.body.innerHTML = 'x'; } catch (e) { return e.name; } }") == "TypeError"
    framed = page.evaluate(
        """url => new Promise(yes => {
          const frame = document.createElement("iframe");
          frame.onload = () => yes(frame.contentDocument === null ? "refused" : frame.contentDocument.title);
          frame.src = url; document.body.append(frame);
        })""",
        running.info.url + "/",
    )
    assert framed == "refused"
