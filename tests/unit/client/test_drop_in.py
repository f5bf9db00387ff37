"""Our client takes the calls that `kfp.Client` takes."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest

from headrace.client import Client, ServerUnreachable

kfp = pytest.importorskip("kfp")
METHODS = [
    name for name, value in inspect.getmembers(kfp.Client, callable) if not name.startswith("_") or name == "__init__"
]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_kfps_parameters_in_kfps_order(name: str) -> None:
    theirs = inspect.signature(getattr(kfp.Client, name)).parameters
    ours = inspect.signature(getattr(Client, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter, given in theirs.items():
        assert ours[parameter].kind == given.kind
        assert ours[parameter].default == given.default or given.default is inspect.Parameter.empty
    added = list(ours.values())[len(theirs) :]
    assert {parameter.kind for parameter in added} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", ["client_id", "other_client_id", "other_client_secret", "proxy", "kube_context"])
def test_ways_it_does_not_know_are_refused_by_name(name: str) -> None:
    options: dict[str, Any] = {name: "x"}
    with pytest.raises(ValueError, match=f"does not know {name}:.* Give the server's address as host"):
        Client("http://127.0.0.1:1", **options)


def test_without_a_server_it_says_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KF_PIPELINES_ENDPOINT", "HEADRACE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServerUnreachable, match="headrace up"):
        Client(home=tmp_path)


def test_triggers_are_one_of_two() -> None:
    client = Client("http://127.0.0.1:1", verbose=False)
    for options in ({}, {"interval_second": 5, "cron_expression": "0 * * * * *"}):
        with pytest.raises(ValueError, match="interval_second or cron_expression"):
            client.create_recurring_run("e", "j", pipeline_id="p", **options)  # type: ignore[arg-type]


def test_old_names_warn() -> None:
    client = Client("http://127.0.0.1:1", verbose=False)
    for name in ("enable_job", "disable_job", "delete_job"):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with pytest.raises(ServerUnreachable):
                getattr(client, name)("x")
        assert [warning.category for warning in told] == [DeprecationWarning]
        assert f"{name.removesuffix('_job')}_recurring_run" in str(told[0].message)
