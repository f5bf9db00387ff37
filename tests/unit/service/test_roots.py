"""Whose pipeline root counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.artifacts.object_stores import ObjectStoreConfig, StoreAccess
from headrace.service.errors import Invalid, Unavailable
from headrace.service.roots import check_settings, root_of
from headrace.service.settings import Settings

STORES = ObjectStoreConfig(
    {"s3://": StoreAccess(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b")}
)
HOME = Path("/srv/headrace")
OWN = "/srv/headrace/artifacts"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("run", "document", "server", "root"),
    [
        ("", "", "", OWN),
        ("", "", "s3://server/x/", "s3://server/x"),
        ("", "s3://doc/y/", "s3://server/x", "s3://doc/y"),
        ("s3://run/z/", "s3://doc/y", "s3://server/x", "s3://run/z"),
        (OWN + "/", "s3://doc/y", "s3://server/x", OWN),
        ("", "gs://somebody/elses", "", OWN),
        ("", "gs://somebody/elses", "s3://server/x", "s3://server/x"),
        ("", "/tmp/somewhere", "", OWN),
        ("", "nonsense", "", OWN),
    ],
)
def test_the_first_that_is_given_and_can_be_used(run: str, document: str, server: str, root: str):
    settings = Settings(home=HOME, artifact_root=server)
    assert root_of(settings, STORES, run=run, document=document) == root


@pytest.mark.parametrize(
    "root", ["gs://nobody/said", "/tmp/x", "file:///tmp/x", "s3://", "x", "s3://bucket/a?endpoint=b"]
)
def test_a_run_s_own_root_must_be_usable(root: str):
    with pytest.raises(Invalid) as caught:
        root_of(Settings(home=HOME), STORES, run=root, document="")
    assert caught.value.code == "PIPELINE_ROOT_UNUSABLE"
    assert root in caught.value.message
    with pytest.raises(Unavailable) as stopped:
        check_settings(Settings(home=HOME, artifact_root=root), STORES)
    assert stopped.value.code == "OBJECT_STORES_INVALID"
