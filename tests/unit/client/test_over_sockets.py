"""Requests over real sockets: streams go on where they broke off, nothing is posted twice, and the token is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.client import ApiError, Client, Headrace, ServerAddress, ServerUnreachable, core
from headrace.client.transport import Transport


class Site:
    """A server that gives prepared answers, in order, and keeps what it was asked."""

    def __init__(self) -> None:
        #: Each answer: status, content type, body; and whether the connection is cut without an answer.
        self.answers: list[tuple[int, str, bytes]] = []
        self.cut_next = False
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.asked.append(
                    (self.command, self.path, {name.lower(): text for name, text in self.headers.items()})
                )
                if site.cut_next:
                    site.cut_next = False
                    self.close_connection = True
                    return
                status, kind, body = site.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def json(self, body: str, status: int = 200) -> None:
        self.answers.append((status, "application/json", body.encode()))

    def stream(self, text: str) -> None:
        self.answers.append((200, "text/event-stream", text.encode()))


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def transport(site: Site, token: str = "") -> Transport:
    return Transport(ServerAddress(url=site.url, token=token))


def test_a_stream_goes_on_after_the_last_event_it_got(site: Site) -> None:
    site.stream("id: 3\nevent: change\ndata: a\n\nevent: change\ndata: without an id\n\n")
    site.stream("id: 4\nevent: change\ndata: b\n\nevent: end\ndata: \n\nevent: change\ndata: too late\n\n")
    found = [event.data for event in transport(site).events(core.get("/events"))]
    assert found == ["a", "without an id", "b"]
    assert [headers.get("last-event-id") for _, _, headers in site.asked] == [None, "3"]


def test_a_stream_that_stays_lost_is_given_up_after_its_patience(site: Site) -> None:
    site.stream("id: 1\nevent: change\ndata: a\n\n")
    site.answers += [(200, "text/event-stream", b"")] * 20
    with pytest.raises(ServerUnreachable):
        list(transport(site).events(core.get("/events"), patience_s=0.3))
    assert len(site.asked) >= 2


def test_an_error_in_place_of_a_stream_is_raised(site: Site) -> None:
    site.json('{"code": "RUN_NOT_FOUND", "message": "There is no such run."}', status=404)
    with pytest.raises(ApiError) as caught:
        list(transport(site).events(core.get("/events")))
    assert (caught.value.code, caught.value.status) == ("RUN_NOT_FOUND", 404)


def test_a_request_for_reading_is_sent_again_when_the_kept_connection_was_closed(site: Site) -> None:
    client = transport(site)
    site.json("{}")
    site.json('{"a": 1}')
    client.send(core.get("/one"))
    site.cut_next = True
    assert client.send(core.get("/two")).body == b'{"a": 1}'
    assert [path for _, path, _ in site.asked] == ["/one", "/two", "/two"]


def test_a_request_that_changes_something_is_sent_once(site: Site) -> None:
    client = transport(site)
    site.json("{}")
    client.send(core.get("/one"))
    site.cut_next = True
    with pytest.raises(ServerUnreachable):
        client.send(core.post("/run"))
    assert [path for method, path, _ in site.asked if method == "POST"] == ["/run"]


def test_the_token_is_sent_with_every_request(site: Site) -> None:
    site.json("{}")
    site.stream("event: end\ndata: \n\n")
    client = transport(site, token="secret")
    client.send(core.get("/one"))
    list(client.events(core.get("/events")))
    assert [headers.get("authorization") for _, _, headers in site.asked] == ["Bearer secret"] * 2


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"])
def test_waiting_ends_with_every_final_state(site: Site, state: str) -> None:
    site.json('{"run_id": "r", "state": "RUNNING"}')
    site.json(f'{{"run_id": "r", "state": "{state}"}}')
    client = Client(site.url, verbose=False)
    assert client.wait_for_run_completion("r", timeout=20, sleep_duration=0.01).state == state


def test_waiting_has_a_limit(site: Site) -> None:
    site.answers += [(200, "application/json", b'{"run_id": "r", "state": "CANCELING"}')] * 200
    with pytest.raises(TimeoutError, match="still CANCELING after 0.2 s"):
        Client(site.url, verbose=False).wait_for_run_completion("r", timeout=0.2, sleep_duration=0.01)


def test_the_part_of_a_log_says_where_it_ends(site: Site) -> None:
    site.answers.append((200, "text/plain", b"line\n"))
    part = Headrace(site.url).read_log("e", attempt=2, offset=-100)
    assert (part.content, part.offset, part.size) == (b"line\n", 0, 0)
    assert site.asked[0][1] == "/api/executions/e/logs?attempt=2&offset=-100"
