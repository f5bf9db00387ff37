"""Everything that can be wrong with what a user gives: a clear error, an honest exit status, never a traceback of ours."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from harness import EXAMPLES, attempt_folders, headrace, headrace_started, rows, until

PIPELINES = Path(__file__).parent / "pipelines"
TROUBLES = PIPELINES / "troubles.py"
SHAPES = PIPELINES / "shapes.py"
HELLO = EXAMPLES / "hello.py"


def refused(*words, home, code: str, status: int = 2, **more):
    """The command's complaint, which must have this code and nothing of our insides."""
    answer = headrace(*words, home=home, **more)
    assert answer.status == status, answer
    assert answer.err.startswith("error: "), answer
    assert f"[{code}]" in answer.err, answer
    assert "Traceback" not in answer.err
    return answer.err


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("none.py", b"x = 1\n", "NOT_A_PIPELINE", "no pipeline in the file"),
        ("syntax.py", b"def f(:\n", "IMPORT_FAILED", "not valid Python"),
        ("exits.py", b"raise SystemExit(3)\n", "IMPORT_EXITED", "exit status 3"),
        ("empty.yaml", b"", "NOT_A_PIPELINE", "nothing in it"),
        ("other.yaml", b"a: 1\n", "NOT_A_PIPELINE", "pipelineInfo"),
        ("broken.yaml", b"a: [1, 2\nb: }\n", "NOT_YAML", "broken.yaml:"),
        ("deep.yaml", b"[" * 30_000, "TOO_DEEP", ""),
        ("bomb.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "ALIASES", "alias"),
        ("binary.yaml", b"\x7fELF\x01\x02", "BINARY", "a program"),
        ("bad.zip", b"PK\x03\x04 and no more", "BAD_ARCHIVE", ""),
    ],
)
def test_a_file_that_is_no_pipeline(tmp_path: Path, home: Path, name, content, code, said):
    file = tmp_path / name
    file.write_bytes(content)
    assert said in refused("run", file, home=home, code=code)
    assert not (home / "headrace.db").exists()


def test_a_file_that_is_not_there(tmp_path: Path, home: Path):
    refused("run", tmp_path / "no.py", home=home, code="FILE_NOT_FOUND")
    refused("run", tmp_path, home=home, code="FILE_UNREADABLE")


def test_two_pipelines_without_a_choice(home: Path):
    assert "--pipeline chain" in refused("run", SHAPES, home=home, code="PIPELINE_NOT_CHOSEN")
    assert "chain, fan" in refused("run", SHAPES, "--pipeline", "chian", home=home, code="PIPELINE_NOT_FOUND")


def test_what_the_file_raises_is_told_by_its_own_lines(tmp_path: Path, home: Path):
    file = tmp_path / "mine.py"
    file.write_text("def helper():\n    return {}['key']\n\nhelper()\n")
    answer = headrace("run", file, home=home)
    assert answer.status == 2
    assert "KeyError: 'key'" in answer.err
    assert f"where: {file}:2" in answer.err
    assert "importlib" not in answer.err and "headrace/cli" not in answer.err


def test_a_document_that_cannot_run_is_told_whole(tmp_path: Path, home: Path):
    text = (EXAMPLES / "hello.yaml").read_text().replace("executorLabel: exec-greet", "executorLabel: exec-gone")
    file = tmp_path / "dangling.yaml"
    file.write_text(text)
    answer = headrace("run", file, home=home)
    assert answer.status == 2
    assert "exec-gone" in answer.err
    assert headrace("lint", file, home=home).status == 1


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--arg", "nobody=1"], "ARGUMENT_UNKNOWN"),
        (["--arg", "threshold=high"], "ARGUMENT_TYPE"),
        (["--arg", "settings={}"], "ARGUMENT_TYPE"),
        (["--arg", "threshold"], "ARGUMENT_SYNTAX"),
    ],
)
def test_a_wrong_argument(home: Path, arguments, code):
    refused("run", EXAMPLES / "breast_cancer.yaml", *arguments, home=home, code=code)


def test_a_missing_argument(home: Path):
    assert "path (a text)" in refused("run", SHAPES, "--pipeline", "fails", home=home, code="ARGUMENT_MISSING")


# --- components --------------------------------------------------------------------------------


def test_a_component_that_raises_fails_the_run_with_its_traceback_and_spares_what_does_not_need_it(home: Path):
    answer = headrace("run", TROUBLES, "--pipeline", "raises", home=home)
    assert answer.status == 1, answer
    assert "failed: raise-error" in answer.out
    assert "[USER_EXCEPTION]" in answer.out
    assert "about to divide" in answer.out
    line = 1 + next(number for number, text in enumerate(TROUBLES.read_text().splitlines()) if "1 / 0" in text)
    assert re.search(rf"where: +{TROUBLES.name}:{line} in raise_error: ", answer.out)
    assert "fix:" in answer.out
    told = headrace("explain", answer.run_id[:8], home=home)
    assert told.status == 0, told
    assert f"FAILED  " in told.out and "[USER_EXCEPTION]" in told.out and "ZeroDivisionError" in told.out
    assert re.search(r"^fine +SKIPPED +UPSTREAM_FAILED", told.out, re.MULTILINE)
    upstream = headrace("explain", "last", "fine", home=home)
    assert "because:   raise-error is FAILED: ZeroDivisionError" in upstream.out
    near = headrace("explain", "latest", "raise-eror", home=home)
    assert (near.status, "Did you mean raise-error?" in near.err) == (2, True)
    assert "ZeroDivisionError: division by zero" in answer.out
    states = {row["path"]: row["state"] for row in rows(home, "SELECT path, state FROM executions")}
    assert states["raise-error"] == "FAILED"
    assert states["fine"] != "SUCCEEDED"
    assert states["fine-2"] == "SUCCEEDED"
    assert len(attempt_folders(home, answer.run_id)) == 2


@pytest.mark.parametrize(
    ("pipeline", "code"),
    [
        ("exits_quietly", "EXITED_EARLY"),
        ("exits_loudly", "EXIT_CODE"),
        ("hangs", "TIMEOUT"),
        ("nan", "OUTPUT_INVALID"),
        ("wrong_type", "OUTPUT_INVALID"),
        ("no_module", "MODULE_NOT_FOUND"),
    ],
)
def test_a_component_that_misbehaves_fails_with_the_reason(home: Path, pipeline, code):
    answer = headrace("run", TROUBLES, "--pipeline", pipeline, home=home)
    assert answer.status == 1, answer
    assert f"[{code}]" in answer.out, answer.out
    assert "FAILED" in answer.out
    assert answer.err == ""


@pytest.mark.slow
def test_a_package_that_does_not_exist(home: Path):
    answer = headrace("run", TROUBLES, "--pipeline", "no_package", home=home)
    assert answer.status == 1
    assert "[PACKAGE_NOT_FOUND]" in answer.out
    assert "this-package-does-not-exist-headrace" in answer.out


def test_output_that_is_no_utf8_is_kept_and_shown_as_far_as_it_is(home: Path):
    answer = headrace("run", TROUBLES, "--pipeline", "garbage", home=home)
    assert answer.status == 0, answer
    (folder,) = attempt_folders(home, answer.run_id).values()
    assert b"begin \xff\xfe\x80 end" in (folder / "log").read_bytes()
    shown = headrace("runs", "logs", "last", home=home)
    assert "begin " in shown.out and " end" in shown.out


@pytest.mark.slow
def test_200_megabytes_of_log_are_kept_and_readable(home: Path):
    answer = headrace("run", TROUBLES, "--pipeline", "much", home=home)
    assert answer.status == 0, answer
    (folder,) = attempt_folders(home, answer.run_id).values()
    size = (folder / "log").stat().st_size
    assert size >= 200_000_000
    with headrace_started("runs", "logs", "last", "print-much", home=home) as process:
        total = sum(len(piece) for piece in iter(lambda: process.stdout.read(1 << 20), ""))
    assert total == size


# --- the machine -------------------------------------------------------------------------------


def test_a_port_that_is_taken(home: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = refused("up", "--port", str(port), "--no-open", home=home, code="PORT_IN_USE", status=1)
    assert f"--port {port + 1}" in error


def test_only_this_machine_is_listened_to(home: Path):
    error = refused("up", "--host", "0.0.0.0", "--no-open", home=home, code="BINDING_REFUSED")
    assert "ssh -L" in error


def test_a_data_directory_made_by_a_newer_version(home: Path):
    assert headrace("run", HELLO, home=home).status == 0
    with sqlite3.connect(home / "headrace.db") as conn:
        conn.execute("INSERT INTO schema_version (version, applied_at) VALUES (99, 0)")
    conn.close()
    before = (home / "headrace.db").read_bytes()
    refused("run", HELLO, home=home, code="HOME_NEWER", status=1)
    assert (home / "headrace.db").read_bytes() == before


def test_a_data_directory_that_is_a_file(tmp_path: Path):
    file = tmp_path / "home"
    file.write_text("")
    error = refused("run", HELLO, home=file, code="HOME_UNUSABLE", status=1)
    assert str(file) in error


def mounted(home: Path, options: str) -> bool:
    """A small file system of its own at this place; False where we may not mount one."""
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def place(tmp_path: Path):
    """An empty directory on which something may be mounted."""
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    while os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=True)


def test_a_data_directory_that_is_read_only(place: Path):
    if os.geteuid() != 0:
        place.chmod(0o500)
    elif not mounted(place, "ro"):
        pytest.skip(
            "as root, a read-only directory takes a mount: run the tests as another user, or with CAP_SYS_ADMIN"
        )
    error = refused("run", HELLO, home=place, code="HOME_READ_ONLY", status=1)
    assert str(place) in error


def test_a_disk_that_is_full(place: Path):
    if not mounted(place, "size=64k"):
        pytest.skip("a full disk takes a small file system: run the tests as root, with CAP_SYS_ADMIN")
    with pytest.raises(OSError):
        (place / "ballast").write_bytes(b"x" * 100_000)
    refused("run", HELLO, home=place, code="HOME_FULL", status=1)


def test_two_servers_over_one_directory(server, home: Path):
    answer = headrace("up", "--no-open", home=home)
    assert answer.status == 0
    assert f"runs already, at {server.url}" in answer.out
    assert f"{server.url}/auth?code=" in answer.out
    refused("up", "--no-open", "--port", "1", home=home, code="HOME_IN_USE", status=1)
    assert until(server.answers, "the first one still answers")


# --- PostgreSQL --------------------------------------------------------------------------------


def test_addresses_of_databases_that_cannot_be_used(home: Path):
    secret = "postgresql://me:sesame@127.0.0.1:1/x"
    said = [
        refused("up", "--no-open", "--database-url", secret, home=home, code="DATABASE_URL_SECRET", status=2),
        refused("up", "--no-open", "--database-url", "mysql://x", home=home, code="DATABASE_URL_INVALID", status=2),
    ]
    for value, code, status in (
        ("me:sesame@somewhere", "DATABASE_URL_INVALID", 2),
        (secret, "DATABASE_UNREACHABLE", 1),
    ):
        env = {"HEADRACE_DATABASE_URL": value}
        said.append(refused("up", "--no-open", "--port", "0", home=home, env=env, code=code, status=status))
    assert not any("sesame" in one for one in said)


def test_a_wrong_password_for_the_database(home: Path, postgres, tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("sesame")
    env = {
        "HEADRACE_DATABASE_URL": postgres.url("postgres", password=False),
        "HEADRACE_DATABASE_PASSWORD_FILE": str(file),
    }
    said = refused("up", "--no-open", "--port", "0", home=home, env=env, code="DATABASE_REFUSED", status=1)
    assert "password authentication failed" in said
    assert "sesame" not in said
