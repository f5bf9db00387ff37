"""Kubernetes settings that kfp-kubernetes 2.17 has no function for, and what is refused."""

from typing import Any

import pytest

from headrace import dsl, kubernetes
from headrace.dsl.errors import DslError


@dsl.component(base_image="python:3.11")
def use(x: str = "a") -> str:
    return x


@dsl.component(base_image="python:3.11")
def fill(out: dsl.Output[dsl.Dataset]) -> None:
    pass


def settings_of(*calls: tuple) -> dict[str, Any]:
    found = []

    @dsl.pipeline(name="p")
    def pipeline(name: str = "n"):
        task = use()
        for function, *rest in calls:
            args = [name if arg == "NAME" else f"x{name}" if arg == "IN TEXT" else arg for arg in rest]
            assert getattr(kubernetes, function)(task, *args) is task
        found.append(dict(task.platform_config["kubernetes"]))

    return found[0]


def test_init_containers() -> None:
    assert settings_of(
        ("add_init_container", "first", "busybox"),
        ("add_init_container", "second", "busybox", ["sh"], ["-c", "true"], {"A": "1", "B": ""}, {"shm": "/s"}, "Always", {"cpu": "1"}, {"memory": "1Gi"}),
    ) == {
        "initContainers": [
            {"name": "first", "image": "busybox"},
            {
                "name": "second",
                "image": "busybox",
                "command": ["sh"],
                "args": ["-c", "true"],
                "env": [{"name": "A", "value": "1"}, {"name": "B"}],
                "volumeMounts": [{"volumeName": "shm", "mountPath": "/s"}],
                "restartPolicy": "Always",
                "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            },
        ]
    }  # fmt: skip


def test_pod_affinity_and_shared_memory() -> None:
    assert settings_of(
        ("add_pod_affinity", [{"key": "a", "operator": "In", "values": ["1"]}], {"app": "x"}, "host", ["ns"], None, {"t": "y"}, 5, True),
        ("add_pod_affinity", None, None, "zone"),
        ("enable_shared_memory", "shm", "1Gi"),
    ) == {
        "podAffinity": [
            {
                "matchPodExpressions": [{"key": "a", "operator": "In", "values": ["1"]}],
                "matchPodLabels": {"app": "x"},
                "topologyKey": "host",
                "namespaces": ["ns"],
                "matchNamespaceLabels": {"t": "y"},
                "weight": 5,
                "anti": True,
            },
            {"topologyKey": "zone"},
        ],
        "enabledSharedMemory": {"volumeName": "shm", "size": "1Gi"},
    }  # fmt: skip


def test_the_last_pod_affinity_of_a_kind_counts() -> None:
    found = settings_of(
        ("add_pod_affinity_json", {"topologyKey": "a"}),
        ("add_pod_affinity_json", {"topologyKey": "b"}, True),
        ("add_pod_affinity_json", {"topology_key": "c"}, False),
    )
    assert found["podAffinity"] == [
        {"podAffinityJson": {"runtimeValue": {"constant": {"topologyKey": "b"}}}, "anti": True},
        {"podAffinityJson": {"runtimeValue": {"constant": {"topology_key": "c"}}}, "anti": False},
    ]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("add_init_container", "", "i"), "INIT_CONTAINER_INVALID"),
        (("add_init_container", "n", ""), "INIT_CONTAINER_INVALID"),
        (("add_init_container", "kfp-launcher", "i"), "INIT_CONTAINER_NAME_RESERVED"),
        (("add_init_container", "n", "i", None, None, {"": "x"}), "INIT_CONTAINER_INVALID"),
        (("add_init_container", "n", "i", None, None, None, {"v": "relative"}), "INIT_CONTAINER_MOUNT_INVALID"),
        (("add_init_container", "n", "i", None, None, None, None, "Never"), "INIT_CONTAINER_RESTART_POLICY"),
        (("add_init_container", "n", "i", None, None, None, None, None, {"cpu": ""}), "INIT_CONTAINER_INVALID"),
        (("add_pod_affinity", [{"key": "a", "operator": "Gt"}]), "AFFINITY_INVALID"),
        (("add_pod_affinity", None, None, None, None, None, None, 0), "AFFINITY_WEIGHT_INVALID"),
        (("add_node_affinity", None, None, 101), "AFFINITY_WEIGHT_INVALID"),
        (("add_pod_affinity_json", {"labelSelector": {}}), "AFFINITY_INVALID"),
        (("set_timeout", True), "TIMEOUT_INVALID"),
        (("use_secret_as_volume", "s", "IN TEXT"), "SETTING_NOT_CONSTANT"),
        (("add_pod_label", "NAME", "x"), "SETTING_NOT_CONSTANT"),
        (("add_pod_annotation", "x", "NAME"), "SETTING_NOT_CONSTANT"),
        (("use_secret_as_env", "IN TEXT", {}), "SETTING_NOT_CONSTANT"),
        (("add_node_selector_json", "text"), "SETTING_TYPE"),
    ],
)
def test_refusals_say_their_code(call: tuple, code: str) -> None:
    with pytest.raises(DslError) as caught:
        settings_of(call)
    assert caught.value.code == code


def test_the_weights_that_kubernetes_takes() -> None:
    found = settings_of(("add_node_affinity", None, None, 1), ("add_node_affinity", None, None, 100))
    assert found["nodeAffinity"] == [{"weight": 1}, {"weight": 100}]


def test_a_timeout_of_zero_removes_the_limit() -> None:
    assert settings_of(("set_timeout", 5)) == {"activeDeadlineSeconds": "5"}
    assert settings_of(("set_timeout", 5), ("set_timeout", 0)) == {}


def test_a_security_context_keeps_what_was_set_before() -> None:
    found = settings_of(("set_security_context", 0), ("set_security_context", None, 7, False))
    assert found["securityContext"] == {"runAsUser": "0", "runAsGroup": "7", "runAsNonRoot": False}


@pytest.mark.parametrize("name", ["toleration_seconds", "tolerationSeconds"])
def test_toleration_seconds_in_both_spellings(name: str) -> None:
    found = settings_of(("add_toleration_json", [{"key": "k", name: 30}]))
    assert found["tolerations"] == [{"key": "k", "tolerationSeconds": "30"}]


def test_one_init_container_per_name() -> None:
    with pytest.raises(DslError, match="already added"):
        settings_of(("add_init_container", "n", "i"), ("add_init_container", "n", "j"))


def test_an_artifact_is_no_name() -> None:
    def pipeline():
        kubernetes.use_secret_as_volume(use(), fill().outputs["out"], "/m")

    with pytest.raises(DslError) as caught:
        dsl.pipeline(pipeline, name="p")
    assert caught.value.code == "SETTING_NOT_A_PARAMETER"


def test_a_nested_pipeline_takes_no_settings() -> None:
    @dsl.pipeline(name="inner")
    def inner():
        use()

    def outer():
        kubernetes.add_pod_label(inner(), "a", "b")

    with pytest.raises(DslError) as caught:
        dsl.pipeline(outer, name="outer")
    assert caught.value.code == "NOT_A_CONTAINER_TASK"
