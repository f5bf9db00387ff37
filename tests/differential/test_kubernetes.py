"""Every function of `kubernetes` writes what kfp-kubernetes writes, wherever the task stands."""

import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace import compiler as our_compiler
from headrace import dsl as our_dsl
from headrace import kubernetes as our_kubernetes
from headrace.dsl.errors import DslError
from headrace.spec.reading import read_pipeline
from headrace.spec.verify import errors, verify

kfp = pytest.importorskip("kfp")
import kfp.compiler  # noqa: E402
import kfp.dsl  # noqa: E402
import kfp.kubernetes  # noqa: E402

pytestmark = pytest.mark.kfp

#: Stands for a parameter channel among a call's arguments.
TEXT, OBJECT, LIST = object(), object(), object()

CONSTANT_CALLS = [
    ("use_secret_as_env", ("s", {"a": "B", "c": "D"}), {}),
    ("use_secret_as_env", ("s", {}), {"optional": True}),
    ("use_secret_as_volume", ("s", "/m"), {}),
    ("use_secret_as_volume", ("s", "/m", True), {}),
    ("use_config_map_as_env", ("s", {"a": "B"}), {}),
    ("use_config_map_as_volume", ("s", "/m"), {"optional": True}),
    ("use_field_path_as_env", ("A", "spec.nodeName"), {}),
    ("mount_pvc", ("c", "/m"), {}),
    ("mount_pvc", ("c", "/m", "sub"), {}),
    ("add_ephemeral_volume", ("v", "/m", ["ReadWriteOnce"], "5Gi"), {}),
    ("add_ephemeral_volume", ("v", "/m", ["ReadWriteOnce"], "5Gi", "x", {"a": "b"}, {"c": "d"}), {}),
    ("empty_dir_mount", ("v", "/m"), {}),
    ("empty_dir_mount", ("v", "/m", "Memory", "1Gi"), {}),
    ("empty_dir_mount", ("v", "/m", "", ""), {}),
    ("add_node_selector", ("k", "v"), {}),
    ("add_node_selector_json", ({"a": "b"},), {}),
    ("add_node_affinity", ([{"key": "a", "operator": "In", "values": ["1"]}],), {}),
    ("add_node_affinity", (None, [{"key": "a", "operator": "Exists"}], 7), {}),
    ("add_node_affinity", (), {}),
    ("add_node_affinity_json", ({"requiredDuringSchedulingIgnoredDuringExecution": {"x": [1, 2.5, True]}},), {}),
    ("add_toleration", ("k", "Equal", "v", "NoSchedule", 0), {}),
    ("add_toleration", (), {}),
    ("add_toleration_json", ([{"key": "a", "toleration_seconds": 5}, {"operator": "Exists"}],), {}),
    ("add_toleration_json", ({"key": "a"},), {}),
    ("add_pod_label", ("a", "b"), {}),
    ("add_pod_label", ("a", ""), {}),
    ("add_pod_annotation", ("a", "b"), {}),
    ("set_image_pull_secrets", (["a", "b"],), {}),
    ("set_image_pull_secrets", ([],), {}),
    ("set_image_pull_policy", ("Never",), {}),
    ("set_timeout", (20,), {}),
    ("set_timeout", (0,), {}),
    ("set_security_context", (0, 5, True), {}),
    ("set_security_context", (), {"run_as_non_root": False}),
]
CHANNEL_CALLS = [
    ("use_secret_as_env", (TEXT, {"a": "B"}), {}),
    ("use_secret_as_volume", (TEXT, "/m"), {}),
    ("use_config_map_as_env", (TEXT, {"a": "B"}), {}),
    ("use_config_map_as_volume", (TEXT, "/m"), {}),
    ("mount_pvc", (TEXT, "/m", "sub"), {}),
    ("add_node_selector_json", (OBJECT,), {}),
    ("add_node_affinity_json", (OBJECT,), {}),
    ("add_toleration_json", (OBJECT,), {}),
    ("add_toleration_json", (LIST,), {}),
    ("set_image_pull_secrets", ([TEXT, TEXT],), {}),
]
SOURCES = ("input", "output")
PLACES = ("root", "if", "loop", "if in loop")


def _call_id(call: tuple[str, tuple, dict]) -> str:
    return call[0]


def _with_channels(value: Any, channels: dict[object, Any]) -> Any:
    if isinstance(value, list):
        return [_with_channels(item, channels) for item in value]
    return channels.get(value, value) if value.__hash__ else value


def _pipeline(dsl: ModuleType, kubernetes: ModuleType, calls: list, place: str, source: str) -> Any:
    @dsl.component(base_image="python:3.11")
    def make() -> str:
        return "a"

    @dsl.component(base_image="python:3.11")
    def make_object() -> dict:
        return {}

    @dsl.component(base_image="python:3.11")
    def make_list() -> list:
        return []

    @dsl.component(base_image="python:3.11")
    def use(x: str = "a") -> str:
        return x

    def apply(channels: dict[object, Any]) -> None:
        task = use()
        for name, args, kwargs in calls:
            getattr(kubernetes, name)(task, *(_with_channels(arg, channels) for arg in args), **kwargs)

    @dsl.pipeline(name="settings")
    def settings(text: str, obj: dict = {}, items: list = [], switch: str = "on"):
        if source == "input":
            channels = {TEXT: text, OBJECT: obj, LIST: items}
        else:
            channels = {TEXT: make().output, OBJECT: make_object().output, LIST: make_list().output}
        if place == "root":
            apply(channels)
        elif place == "if":
            with dsl.If(switch == "on"):
                apply(channels)
        elif place == "loop":
            with dsl.ParallelFor(items):
                apply(channels)
        else:
            with dsl.ParallelFor([1, 2]), dsl.If(switch == "on"):
                apply(channels)

    return settings


def _both(tmp_path: Path, build: Any) -> tuple[str, str]:
    found = []
    for name, dsl, kubernetes, compiler in (
        ("theirs", kfp.dsl, kfp.kubernetes, kfp.compiler),
        ("ours", our_dsl, our_kubernetes, our_compiler),
    ):
        path = tmp_path / f"{name}.yaml"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiler.Compiler().compile(build(dsl, kubernetes), str(path))
        # Each names itself; nothing else may differ.
        found.append(re.sub(r"(?m)^sdkVersion: .*$", "sdkVersion: ...", path.read_text()))
    return found[0], found[1]


@pytest.mark.parametrize("call", CONSTANT_CALLS, ids=_call_id)
def test_constants(tmp_path: Path, call: tuple) -> None:
    theirs, ours = _both(tmp_path, lambda dsl, kubernetes: _pipeline(dsl, kubernetes, [call], "root", "input"))
    assert ours == theirs


@pytest.mark.parametrize("place", PLACES)
def test_all_constants_on_one_task(tmp_path: Path, place: str) -> None:
    theirs, ours = _both(tmp_path, lambda dsl, kubernetes: _pipeline(dsl, kubernetes, CONSTANT_CALLS, place, "input"))
    assert ours == theirs


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", CHANNEL_CALLS, ids=_call_id)
def test_channels(tmp_path: Path, call: tuple, place: str, source: str) -> None:
    theirs, ours = _both(tmp_path, lambda dsl, kubernetes: _pipeline(dsl, kubernetes, [call], place, source))
    assert ours == theirs
    assert errors(verify(*read_pipeline(ours))) == []


def _volumes(dsl: ModuleType, kubernetes: ModuleType) -> Any:
    @dsl.component(base_image="python:3.11")
    def use() -> str:
        return "a"

    @dsl.pipeline(name="volumes")
    def volumes(data: str, items: list = ["a"]):
        claim = kubernetes.CreatePVC(access_modes=["ReadWriteOnce"], size="1Gi", pvc_name_suffix="-s")
        mounted = use()
        kubernetes.mount_pvc(mounted, claim.outputs["name"], "/a")
        kubernetes.mount_pvc(mounted, data, "/b", "sub")
        with dsl.ParallelFor(items) as item:
            looped = use()
            kubernetes.mount_pvc(looped, claim.outputs["name"], "/a")
            kubernetes.use_secret_as_volume(looped, item, "/secret")
        kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(mounted)

    return volumes


def test_claims_made_mounted_and_deleted(tmp_path: Path) -> None:
    theirs, ours = _both(tmp_path, _volumes)
    assert ours == theirs
    assert errors(verify(*read_pipeline(ours))) == []


REFUSED = [
    ("set_image_pull_policy", ("Sometimes",), {}),
    ("set_timeout", (-1,), {}),
    ("set_security_context", (), {}),
    ("set_security_context", (True,), {}),
    ("set_security_context", (-1,), {}),
    ("set_security_context", (1, -1), {}),
    ("set_security_context", (1, 1, "yes"), {}),
    ("add_node_affinity", ([{"operator": "In"}],), {}),
    ("add_node_affinity", ([{"key": "a"}],), {}),
    ("add_node_affinity", ([{"key": "a", "operator": "Near"}],), {}),
    ("add_node_affinity", (), {"weight": 101}),
    ("add_node_affinity_json", ({"other": 1},), {}),
    ("add_toleration_json", (5,), {}),
    ("mount_pvc", (5, "/m"), {}),
    ("use_secret_as_env", (5, {}), {}),
]


@pytest.mark.parametrize("call", REFUSED, ids=_call_id)
def test_what_kfp_refuses_is_refused(call: tuple) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)):
            _pipeline(kfp.dsl, kfp.kubernetes, [call], "root", "input")
    with pytest.raises(DslError) as caught:
        _pipeline(our_dsl, our_kubernetes, [call], "root", "input")
    assert isinstance(caught.value, ValueError | TypeError)
