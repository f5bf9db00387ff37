"""Settings for Kubernetes, and which of them have no effect on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

from headrace import dsl, kubernetes
from headrace.cli.sources import lint_findings, load
from headrace.dsl.base_component import GraphComponent
from headrace.spec.document import Document, parse_document
from headrace.spec.settings import GIVING, sentence, tasks_by_setting, without_effect


@pytest.mark.parametrize(
    "settings, names",
    [
        ({}, ()),
        ({"activeDeadlineSeconds": "60"}, ()),
        ({"active_deadline_seconds": 60}, ()),
        ({"secretAsEnv": [{"secretName": "s"}]}, ("secretAsEnv",)),
        ({"secret_as_env": [{"secret_name": "s"}]}, ("secretAsEnv",)),
        ({"secretAsEnv": [], "nodeSelector": {}, "imagePullPolicy": ""}, ()),
        ({"pvcMount": [{}], "nodeSelector": {"labels": {"a": "b"}}}, ("nodeSelector", "pvcMount")),
        # A field of a later KFP is not known, so nothing acts on it.
        ({"someday": {"x": 1}}, ("someday",)),
    ],
)
def test_fields_without_effect_are_named_in_both_spellings(settings: dict[str, object], names: tuple[str, ...]) -> None:
    assert without_effect(settings) == names


def test_a_sentence_says_what_the_user_wrote_and_whom_it_concerns() -> None:
    assert sentence("secretAsEnv", ["a"]) == (
        "Secrets as environment variables (a): without effect where tasks run without Kubernetes; "
        "such tasks are not cached."
    )
    assert sentence("tolerations", ["a", "b", "c", "d", "e"]) == (
        "Tolerations (a, b, c and 2 more): without effect where tasks run without Kubernetes."
    )
    assert "the setting someday (a)" in sentence("someday", ["a"]).lower()


FILE = """
from headrace import dsl, kubernetes

@dsl.component
def read() -> str:
    import os
    return os.environ.get("PASSWORD", "")

@dsl.pipeline
def uses_a_secret():
    one = read()
    kubernetes.use_secret_as_env(one, secret_name="s", secret_key_to_env={"p": "PASSWORD"})
    with dsl.ParallelFor([1, 2]):
        other = read()
        kubernetes.use_secret_as_env(other, secret_name="s", secret_key_to_env={"p": "PASSWORD"})
        kubernetes.add_node_selector(other, label_key="a", label_value="b")
        kubernetes.set_timeout(other, 60)
"""


def test_lint_warns_of_each_setting_once_and_names_its_tasks(tmp_path: Path) -> None:
    path = tmp_path / "pipe.py"
    path.write_text(FILE)
    found = lint_findings(load(path, None))
    assert [(one.code, one.severity) for one in found] == [("SETTING_WITHOUT_EFFECT", "warning")] * 2
    assert [one.message.split(":")[0] for one in found] == [
        "Node selectors (read-2)",
        "Secrets as environment variables (read, read-2)",
    ]


def test_every_setting_that_the_sdk_can_write_has_words() -> None:
    """A user who reads `the setting tolerations` was not thought of."""

    @dsl.component
    def work() -> None:
        pass

    @dsl.pipeline
    def all_settings() -> None:
        task = work()
        kubernetes.use_secret_as_env(task, secret_name="s", secret_key_to_env={"a": "A"})
        kubernetes.use_secret_as_volume(task, secret_name="s", mount_path="/s")
        kubernetes.use_config_map_as_env(task, config_map_name="s", config_map_key_to_env={"a": "B"})
        kubernetes.use_config_map_as_volume(task, config_map_name="s", mount_path="/c")
        kubernetes.use_field_path_as_env(task, env_name="C", field_path="metadata.name")
        kubernetes.mount_pvc(task, pvc_name="p", mount_path="/p")
        kubernetes.add_ephemeral_volume(
            task, volume_name="e", mount_path="/e", access_modes=["ReadWriteOnce"], size="1Gi"
        )
        kubernetes.empty_dir_mount(task, volume_name="d", mount_path="/d")
        kubernetes.add_node_selector(task, label_key="a", label_value="b")
        kubernetes.add_toleration(task, key="k", operator="Exists")
        kubernetes.add_node_affinity(task, match_expressions=[{"key": "a", "operator": "Exists"}])
        kubernetes.add_pod_affinity(task, topology_key="zone", match_pod_labels={"a": "b"})
        kubernetes.add_pod_label(task, label_key="a", label_value="b")
        kubernetes.set_image_pull_policy(task, "Always")
        kubernetes.set_image_pull_secrets(task, ["s"])
        kubernetes.set_security_context(task, run_as_user=1)

    found = tasks_by_setting(_document(all_settings))
    assert len(found) == 16
    assert not [name for name, tasks in found.items() if "the setting" in sentence(name, tasks).lower()]
    assert set(GIVING) & set(found) == {
        "secretAsEnv", "secretAsVolume", "configMapAsEnv", "configMapAsVolume", "fieldPathAsEnv",
        "pvcMount", "genericEphemeralVolume", "emptyDirMounts", "securityContext",
    }  # fmt: skip


def _document(pipeline: GraphComponent) -> Document:
    pipeline_spec, platform_spec = (MessageToDict(spec) for spec in (pipeline.pipeline_spec, pipeline.platform_spec))
    return parse_document(pipeline_spec, platform_spec)
