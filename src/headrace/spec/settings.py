"""Settings for Kubernetes in a document, and which of them have no effect on one machine.

A task on one machine runs without them. Those that give the task something (a secret, a volume) may change what it
makes, so it must not be taken for the same task elsewhere; those that choose a place or an image pull do not.
Source of the names: `kubernetes_platform/proto/kubernetes_executor_config.proto` of kubeflow/pipelines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from headrace.spec.document import Document, Json

#: What a person calls the settings that give a task something.
GIVING: Final = {
    "secretAsEnv": "secrets as environment variables",
    "secretAsVolume": "secrets as files",
    "configMapAsEnv": "config maps as environment variables",
    "configMapAsVolume": "config maps as files",
    "fieldPathAsEnv": "fields of the pod as environment variables",
    "pvcMount": "volumes",
    "genericEphemeralVolume": "ephemeral volumes",
    "emptyDirMounts": "empty directories",
    "enabledSharedMemory": "shared memory",
    "securityContext": "the security context",
}
#: What Headrace acts on everywhere.
_APPLIED: Final = frozenset({"activeDeadlineSeconds"})
_OTHERS: Final = {
    "nodeSelector": "node selectors",
    "tolerations": "tolerations",
    "nodeAffinity": "node affinity",
    "podAffinity": "pod affinity",
    "podMetadata": "labels and annotations of pods",
    "imagePullSecret": "image pull secrets",
    "imagePullPolicy": "image pull policies",
}
#: Tasks that a sentence names.
_NAMED: Final = 3


def without_effect(settings: Mapping[str, Json]) -> tuple[str, ...]:
    """The fields of an executor's settings for Kubernetes that nothing acts on outside of Kubernetes, sorted."""
    names = {_camel(name) for name, value in settings.items() if value not in (None, "", [], {}, ())}
    return tuple(sorted(names - _APPLIED))


def tasks_by_setting(
    document: Document, ignored_of: Callable[[Mapping[str, Json]], tuple[str, ...]] = without_effect
) -> dict[str, list[str]]:
    """For each field without effect: the names of the tasks that have it, each once.

    `ignored_of` answers which fields of an executor's settings have none where the tasks run.
    """
    found: dict[str, dict[str, None]] = {}
    ignored = {label: ignored_of(settings) for label, settings in document.kubernetes.executors.items()}
    if not any(ignored.values()):
        return {}
    for task, label in _tasks(document):
        for name in ignored.get(label, ()):
            found.setdefault(name, {})[task] = None
    return {name: list(tasks) for name, tasks in sorted(found.items())}


def sentence(name: str, tasks: list[str]) -> str:
    """The warning about one setting."""
    words = GIVING.get(name) or _OTHERS.get(name, f"the setting {name}")
    more = f" and {len(tasks) - _NAMED} more" if len(tasks) > _NAMED else ""
    cache = "; such tasks are not cached" if name in GIVING else ""
    said = f"{words[0].upper()}{words[1:]}"
    return f"{said} ({', '.join(tasks[:_NAMED])}{more}): without effect where tasks run without Kubernetes{cache}."


def _tasks(document: Document) -> Iterator[tuple[str, str]]:
    for component in (document.root, *document.components.values()):
        if component.dag is None:
            continue
        for name, task in component.dag.tasks.items():
            used = document.components.get(task.component)
            if used is not None and used.executor is not None:
                yield name, used.executor


def _camel(name: str) -> str:
    """JSON of protobuf has both spellings: `secret_as_env` and `secretAsEnv`."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
