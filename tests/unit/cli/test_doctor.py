"""What is missing on this machine, and how to get it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from headrace.cli import doctor
from headrace.cli.terminal import Paint


def test_a_machine_without_engine_or_uv_says_how_to_get_them(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    engine = doctor.check_engine()
    assert (engine.verdict, "apt-get install podman" in engine.fix) == ("warn", True)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda _name: None)
    uv = doctor.check_uv()
    assert (uv.verdict, "pip install uv" in uv.fix) == ("fail", True)
    assert doctor.check_server_packages().verdict == "fail"


def test_a_system_without_warm_starts_says_why(monkeypatch):
    assert doctor.check_warm_starts().verdict == "ok"
    monkeypatch.delattr(os, "pidfd_open")
    found = doctor.check_warm_starts()
    assert (found.verdict, "pidfd_open" in found.note) == ("warn", True)


def test_an_engine_that_does_not_work_is_no_engine(tmp_path, monkeypatch):
    fake = tmp_path / "podman"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_engine().verdict == "warn"


def test_a_data_directory_that_cannot_be(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("")
    assert doctor.check_home(tmp_path / "new").verdict == "ok"
    assert doctor.check_home(file / "below").verdict == "fail"
    assert doctor.check_home(Path("/proc/headrace")).verdict == "fail"


def test_a_data_directory_made_by_a_newer_version(tmp_path: Path):
    from headrace.store.dialect import open_sqlite
    from headrace.store.migrations import upgrade

    engine = open_sqlite(tmp_path / "headrace.db", writer=True)
    with engine.connect() as conn, conn.begin():
        upgrade(conn)
        conn.exec_driver_sql("INSERT INTO schema_version (version, applied_at) VALUES (99, 0)")
    engine.dispose()
    found = doctor.check_home(tmp_path)
    assert found.verdict == "fail"
    assert "99" in found.note
    assert found.fix.startswith("Use that version")


def test_a_database_that_is_none(tmp_path: Path):
    (tmp_path / "headrace.db").write_bytes(b"no database" * 1000)
    found = doctor.check_home(tmp_path)
    assert found.verdict == "fail"
    assert "not a database" in found.note
    assert str(tmp_path / "headrace.db") in found.fix


def test_a_port_that_is_taken(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert "next free one" in doctor.check_port(tmp_path, port).note
    assert doctor.check_port(tmp_path, port).note == f"not running; port {port} is free"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ('{"pid": OURS, "url": "http://127.0.0.1:1"}', "http://127.0.0.1:1"),
        ('{"pid": OURS, "url": ""}', ""),
        ('{"pid": 999999999, "url": "http://127.0.0.1:1"}', ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_a_server_is_running_when_its_process_is(tmp_path: Path, text: str, url: str):
    (tmp_path / "server.json").write_text(text.replace("OURS", str(os.getpid())))
    assert doctor.running_url(tmp_path) == url


def test_the_report_has_a_line_a_finding_and_its_fix():
    found = [
        doctor.CheckResult(subject="uv", verdict="ok", note="0.9"),
        doctor.CheckResult(subject="disk", verdict="fail", note="full", fix="Free some."),
    ]
    lines = doctor.report(found, Paint(colours=False)).splitlines()
    assert [line.split() for line in lines] == [
        ["ok", "uv", "0.9"],
        ["fail", "disk", "full"],
        ["fix:", "Free", "some."],
    ]
