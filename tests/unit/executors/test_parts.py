"""The executor's small parts: quantities, exit statuses, parameter files, uv's messages, codes."""

from __future__ import annotations

import pytest

from headrace.artifacts.local import LocalStore
from headrace.attempt.codes import Code
from headrace.attempt.outputs import check_type, parse_parameter
from headrace.attempt.refusal import Refusal
from headrace.engine.model import AttemptId
from headrace.executors.local.attempt_dir import AttemptDirs
from headrace.executors.local.code_folders import CodeFolders
from headrace.executors.local.command import AttemptMeta
from headrace.executors.local.container import ContainerCommandBuilder
from headrace.executors.local.environments import Environments, Packages, failure
from headrace.executors.local.limits import Allowance
from headrace.executors.local.pip_words import Installation, installation
from headrace.executors.local.resources import resources_of, size
from headrace.executors.local.supervisor import signal_name

pytestmark = pytest.mark.anyio


def test_what_a_task_asks_for():
    asked = resources_of({"cpu_limit": "2000m", "memory_request": "500Mi", "memory_limit": "1Gi"})
    assert (asked.cpus, asked.cpu_limit, asked.memory_bytes, asked.memory_limit_bytes) == (2, 2, 500 << 20, 1 << 30)
    nothing = resources_of({"cpu_request": "0", "cpu_limit": "0", "memory_limit": "0"})
    assert (nothing.cpus, nothing.cpu_limit, nothing.memory_bytes, nothing.memory_limit_bytes) == (0, None, 0, None)
    assert resources_of({"cpu_request": "0", "cpu_limit": "2"}).cpus == 0
    cards = resources_of({"accelerator_count": "2", "accelerator_type": "NVIDIA_TESLA_P4"})
    assert (cards.accelerator, cards.accelerators) == ("NVIDIA_TESLA_P4", 2)
    assert resources_of({"accelerator_count": "1"}).accelerator == "nvidia.com/gpu"
    assert resources_of({"accelerator_type": "tpu", "accelerator_count": "0"}).accelerator == ""


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"cpu_request": "4", "cpu_limit": "2"}, "requests 4 of cpu, more than its limit of 2"),
        ({"memory_request": "2Gi", "memory_limit": "1G"}, "requests 2Gi of memory"),
        ({"accelerator_count": "0.5"}, "'0.5' is not a number of accelerators"),
        ({"memory_limit": "much"}, "'much' is not a quantity"),
    ],
)
def test_what_no_task_can_ask_for(texts, words):
    with pytest.raises(Refusal, match=words) as caught:
        resources_of(texts)
    assert (caught.value.reason.code, caught.value.retryable) == ("ORDER_INVALID", False)


@pytest.mark.parametrize(("amount", "text"), [(12, "12 bytes"), (1536, "1.5Ki"), (3 << 30, "3Gi"), (0, "0 bytes")])
def test_size(amount, text):
    assert size(amount) == text


@pytest.mark.parametrize(
    ("status", "name"), [(0, ""), (1, ""), (128, ""), (137, "SIGKILL"), (139, "SIGSEGV"), (255, "")]
)
def test_signal_name(status, name):
    assert signal_name(status) == name


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("STRING", b" 7 \n", " 7 \n"),
        ("NUMBER_INTEGER", b" 7\n", 7),
        ("NUMBER_DOUBLE", b"1e3", 1000.0),
        ("BOOLEAN", b"True\n", True),
        ("BOOLEAN", b"false", False),
        ("LIST", b"[1, null]", [1, None]),
        ("STRUCT", '{"ä": 1}'.encode(), {"ä": 1}),
    ],
)
def test_parameter_file(kind, data, value):
    assert parse_parameter("p", kind, data) == value


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("STRING", b"\xff"),
        ("NUMBER_INTEGER", b"seven"),
        ("NUMBER_DOUBLE", b"NaN"),
        ("BOOLEAN", b"yes"),
        ("LIST", b""),
        ("STRUCT", b'{"a":' * 100_000),
    ],
)
def test_parameter_file_of_the_wrong_type(kind, data):
    with pytest.raises(Refusal, match="'p'") as refused:
        parse_parameter("p", kind, data)
    assert refused.value.reason.code == Code.OUTPUT_INVALID


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("NUMBER_INTEGER", True),
        ("NUMBER_INTEGER", 1.5),
        ("NUMBER_DOUBLE", True),
        ("STRING", 1),
        ("LIST", {}),
        ("STRUCT", []),
    ],
)
def test_wrong_type(kind, value):
    with pytest.raises(Refusal):
        check_type("p", kind, value)


@pytest.mark.parametrize(
    ("packages", "indexes"),
    [
        (("git+https://me:secret@host/x",), ()),
        (("x", "--index-url=https://me:secret@host/simple"), ()),
        (("x", "--extra-index-url", "https://me:secr@et@host:8080/simple"), ()),
        (("x",), ("https://me:secret@host/simple",)),
        (("x",), ("https://host/simple?token=secret",)),
        (("x",), ("https://me:se%63ret@host/simple",)),
    ],
)
def test_no_password_of_an_index_is_shown_or_on_a_command_line(packages, indexes):
    asked = installation(packages, indexes, indexes)
    urls = [*indexes, *packages]
    words = f"error at {urls}: invalid port: {' '.join(f'`{secret}@host`' for secret in asked.secrets())}"
    told = failure(words, asked)
    assert told.reason.code == Code.PACKAGE_INSTALL_FAILED
    shown = told.reason.message + str(told.reason.details)
    assert asked.secrets()
    assert not [secret for secret in ("secret", "secr@et", "se%63ret") if secret in shown]
    assert not [word for word in asked.options if "://" in word]


@pytest.mark.parametrize("text", ["error: cannot make the folder", ""])
def test_a_failure_before_any_package_is_told_in_the_words_of_the_tool(text):
    told = failure(text, installation((), (), ()))
    assert text in told.reason.message
    assert "environment could not be made" in told.reason.message


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        (("six",), {"requirements": ["six"]}),
        (("--extra-index-url", "https://a/b", "six"), {"requirements": ["six"], "extra_index_urls": ["https://a/b"]}),
        (("--extra-index-url https://a/b", "six"), {"requirements": ["six"], "extra_index_urls": ["https://a/b"]}),
        (("six", "-i", "https://a/b"), {"requirements": ["six"], "index_url": "https://a/b"}),
        (("--upgrade", "-U", "--no-cache-dir", "-q", "six"), {"requirements": ["six"]}),
        (("--retries", "3", "--progress-bar=off", "six"), {"requirements": ["six"]}),
        (("--pre", "six"), {"requirements": ["six"], "options": ["--prerelease=allow"]}),
        (("--no-deps", "--only-binary", ":all:"), {"options": ["--no-deps", "--only-binary=:all:"]}),
        (("--trusted-host", "https://me:pw@a:8080/x"), {"insecure_hosts": ["a:8080"]}),
        (("-f", "/wheels", "six ; python_version > '3'"), {"requirements": ["six ; python_version > '3'"],
                                                           "find_links": ["/wheels"]}),
    ],
)  # fmt: skip
def test_what_pip_s_words_mean(packages, expected):
    assert installation(packages, (), ()) == Installation(**expected)


@pytest.mark.parametrize("packages", [("-r", "f.txt"), ("--target=/x", "six"), ("six", "--extra-index-url")])
def test_options_that_cannot_be_used_are_refused_by_name(packages):
    with pytest.raises(Refusal) as refused:
        installation(packages, (), ())
    assert any(word.startswith("-") and word.split("=")[0] in refused.value.reason.message for word in packages)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("http://127.0.0.1:18998/simple", "127.0.0.1:18998"), ("https://u:p@h/x", "h"), ("h:1", "h:1"), ("h", "h")],
)
def test_a_trusted_host_may_be_written_as_a_url(host, expected):
    asked = installation((), ("https://a", "https://b"), (host,))
    assert asked.variables({"UV_INDEX": "https://c", "UV_INDEX_URL": "https://d"}) == {
        "UV_DEFAULT_INDEX": "https://a", "UV_INDEX": "https://c https://b", "UV_INSECURE_HOST": expected
    }  # fmt: skip


def test_the_key_follows_from_what_was_asked_for(tmp_path):
    environments = Environments(tmp_path)
    assert environments.key(Packages(requirements=("a", "b"))) == environments.key(Packages(requirements=("b", "a")))
    others = [
        Packages(),
        Packages(requirements=("a",)),
        Packages(requirements=("a", "b"), index_urls=("https://x",)),
        Packages(requirements=("a", "b"), index_urls=("https://x", "https://y")),
        Packages(requirements=("a", "b"), index_urls=("https://y", "https://x")),
    ]
    assert len({environments.key(one) for one in others}) == len(others)


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "/etc", "a\n", ".live"])
def test_a_run_id_leads_nowhere_else(run_id, tmp_path):
    dirs = AttemptDirs(tmp_path)
    with pytest.raises(ValueError, match="not a"):
        dirs.of(AttemptId(run_id=run_id, path="task", number=1))
    with pytest.raises(ValueError, match="not a"):
        dirs.delete(run_id)


def test_the_folder_of_records_is_made_again_when_it_is_gone(tmp_path):
    dirs = AttemptDirs(tmp_path)
    (tmp_path / "attempts" / ".live").rmdir()
    assert list(dirs.live(dict)) == []
    attempt = AttemptId(run_id="r", path="task", number=1)
    dirs.write_record(attempt, {"a": 1})
    assert dirs.read_record(attempt, dict) == {"a": 1}


def test_every_code_says_what_it_means():
    assert all(code.meaning.endswith(".") and code.value == code.name for code in Code)


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (125, "Error: the memory limit is not supported", Code.CONTAINER_FAILED),
        (126, "Error: runc: error setting rlimit type 7: operation not permitted", Code.CONTAINER_FAILED),
        (126, "Error: permission denied", Code.COMMAND_NOT_FOUND),
        (127, 'exec: "prog": executable file not found', Code.COMMAND_NOT_FOUND),
        (1, "Traceback", None),
    ],
)
def test_what_an_engines_exit_status_says(tmp_path, status, told, code):
    builder = ContainerCommandBuilder("", CodeFolders(tmp_path), Allowance(), LocalStore(tmp_path / "artifacts"))
    reason = builder.explain_status(AttemptMeta(builder="container", outputs_seen_at="/"), status, told)
    assert (reason and reason.code) == code
    assert reason is None or told in reason.message
