"""Files of attempts that an earlier release started are read: such attempts are adopted."""

from __future__ import annotations

import json

import msgspec

from headrace.engine.model import AttemptId
from headrace.executors.local.attempt_dir import AttemptDirs, fetched_in_use
from headrace.executors.local.cgroups import Limits
from headrace.executors.local.command import AttemptRecordFile
from headrace.executors.port import AnyReport, Failed

ATTEMPT = AttemptId(run_id="r1", path="train", number=1)
#: As release 0003 wrote it.
RECORD = {
    "order": {
        "attempt": {"run_id": "r1", "path": "train", "number": 1},
        "task": "train",
        "component": "comp-train",
        "container": {"image": "python:3.11", "command": ["true"]},
        "outputs": {"parameters": {"Output": "STRING"}},
        "facts": {"pipeline_job_name": "first"},
    },
    "kept": {
        "maker": "python",
        "seen_as": "/home/attempts/r1/e/1/outputs",
        "must_answer": True,
        "handed": {"s3://b/k": "HOME/fetched/abc/k"},
        "on_this_machine": ["HOME/fetched/abc/k"],
        "container": "",
        "surroundings": {"python": "3.11"},
        "group": ["/sys/fs/cgroup/headrace-1/a"],
        "held": {"limits": {"memory_bytes": 1, "cpus": None, "processes": 9}, "memory_from": "a setting"},
        "grant": {"resources": {"cpus": 1.0, "memory_bytes": 5}, "devices": ["0"]},
        "out_of_memory_kills": 3,
    },
}


def test_the_record_of_a_running_attempt(tmp_path):
    dirs = AttemptDirs(tmp_path)
    text = json.dumps(RECORD).replace("HOME", str(tmp_path))
    (tmp_path / "attempts" / ".live" / f"r1.{ATTEMPT.execution_id}.1").write_text(text)
    [(record, attempt_dir)] = dirs.live(AttemptRecordFile)
    assert (record.order.attempt, record.order.facts, record.order.namespace) == (
        ATTEMPT,
        {"pipeline_job_name": "first"},
        "",
    )
    meta = record.meta
    assert (meta.builder, meta.outputs_seen_at) == ("python", "/home/attempts/r1/e/1/outputs")
    assert meta.inputs_seen_at == {"s3://b/k": f"{tmp_path}/fetched/abc/k"}
    assert meta.applied.limits == Limits(memory_bytes=1, processes=9)
    assert (meta.allocation.resources.memory_bytes, meta.allocation.devices) == (5, ("0",))
    assert (meta.group, meta.out_of_memory_kills) == (("/sys/fs/cgroup/headrace-1/a",), 3)
    assert attempt_dir.root == tmp_path / "attempts" / "r1" / ATTEMPT.execution_id / "1"
    assert fetched_in_use(tmp_path) == {"abc"}


def test_what_is_written_now_has_the_same_names():
    read = msgspec.json.decode(json.dumps(RECORD), type=AttemptRecordFile)
    written = msgspec.json.decode(msgspec.json.encode(read))
    assert set(written) == {"order", "kept"}
    assert set(written["kept"]) == set(RECORD["kept"]) - {"must_answer"}


def test_the_result_of_an_attempt_that_ended():
    text = '{"type":"Failed","attempt":{"run_id":"r1","path":"train","number":1},"at":5.0,"error":{"code":"X","message":"y"}}'
    found = msgspec.json.decode(text, type=AnyReport)
    assert isinstance(found, Failed), found
    assert (found.attempt, found.error.code, found.retryable) == (ATTEMPT, "X", True)
