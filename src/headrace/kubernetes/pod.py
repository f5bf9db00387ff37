"""The pod around the task: its labels, its images, how long it may run, as which user, and what runs before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.dsl.pipeline_task import PipelineTask
from headrace.kubernetes import settings
from headrace.kubernetes.settings import IR, Text

_PULL_POLICIES = ("Always", "Never", "IfNotPresent")
#: The name KFP's own init container has.
_RESERVED_NAME = "kfp-launcher"


def add_pod_label(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """Add a label to the task's pod.

    Args:
        task: A task of a component with a container.
        label_key: The label. A label that was set before is replaced.
        label_value: Its value.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    return _add_metadata(task, "labels", label_key, label_value)


def add_pod_annotation(task: PipelineTask, annotation_key: str, annotation_value: str) -> PipelineTask:
    """Add an annotation to the task's pod.

    Args:
        task: A task of a component with a container.
        annotation_key: The annotation. An annotation that was set before is replaced.
        annotation_value: Its value.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    return _add_metadata(task, "annotations", annotation_key, annotation_value)


def _add_metadata(task: PipelineTask, kind: str, key: str, value: str) -> PipelineTask:
    settings.constants(key=key, value=value)
    settings.of(task).setdefault("podMetadata", {}).setdefault(kind, {})[key] = value
    return task


def set_image_pull_secrets(task: PipelineTask, secret_names: Sequence[Text]) -> PipelineTask:
    """Name Secrets with which the cluster may pull the task's image.

    Args:
        task: A task of a component with a container.
        secret_names: Names of Secrets, or text parameters of the pipeline. They are added to earlier ones.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    entries = [settings.named("secretName", name, what="name of the image pull secret") for name in secret_names]
    if not entries:
        settings.of(task)
        return task
    return settings.append(task, "imagePullSecret", *entries)


def set_image_pull_policy(task: PipelineTask, policy: str) -> PipelineTask:
    """Say when the cluster pulls the task's image.

    Args:
        task: A task of a component with a container.
        policy: `Always`, `Never` or `IfNotPresent`.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: It is another text (`IMAGE_PULL_POLICY_INVALID`).
    """
    if policy not in _PULL_POLICIES:
        raise DslValueError(
            f"{policy!r} is not an image pull policy. Must be one of {', '.join(map(repr, _PULL_POLICIES))}.",
            code="IMAGE_PULL_POLICY_INVALID",
        )
    settings.of(task)["imagePullPolicy"] = policy
    return task


def set_timeout(task: PipelineTask, seconds: int) -> PipelineTask:
    """Limit how long an attempt of the task may take; then it is ended and counts as failed.

    Args:
        task: A task of a component with a container.
        seconds: Seconds, a whole number; 0 removes the limit.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: It is not such a number (`TIMEOUT_INVALID`).

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     kubernetes.set_timeout(work(), seconds=3600)
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < 2**63:
        raise DslValueError(
            f'Argument for "seconds" must be an integer greater than or equal to 0. Got: {seconds!r}.',
            code="TIMEOUT_INVALID",
        )
    config = settings.of(task)
    if seconds:
        config["activeDeadlineSeconds"] = str(seconds)
    else:
        config.pop("activeDeadlineSeconds", None)
    return task


def set_security_context(
    task: PipelineTask,
    run_as_user: int | None = None,
    run_as_group: int | None = None,
    run_as_non_root: bool | None = None,
) -> PipelineTask:
    """Say as which user and group the container runs. What is left out stays as it was set before.

    Args:
        task: A task of a component with a container.
        run_as_user: The user's number, 0 or more. Default: as the image says.
        run_as_group: The group's number, 0 or more. Default: as the image says.
        run_as_non_root: Whether the cluster refuses to run the container as root. Default: as the cluster says.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: Nothing was given (`SECURITY_CONTEXT_EMPTY`), or a number is negative or too large
            (`SECURITY_CONTEXT_INVALID`).
    """
    if run_as_user is None and run_as_group is None and run_as_non_root is None:
        raise DslValueError("At least one security context field must be provided.", code="SECURITY_CONTEXT_EMPTY")
    context: IR = {}
    for name, field, value in (
        ("run_as_user", "runAsUser", run_as_user),
        ("run_as_group", "runAsGroup", run_as_group),
    ):
        if value is not None:
            context[field] = str(_checked_id(name, value))
    if run_as_non_root is not None:
        if not isinstance(run_as_non_root, bool):
            raise DslTypeError(
                f'Argument for "run_as_non_root" must be a bool. Got: {type(run_as_non_root).__name__}.',
                code="SECURITY_CONTEXT_TYPE",
            )
        context["runAsNonRoot"] = run_as_non_root
    settings.of(task).setdefault("securityContext", {}).update(context)
    return task


def _checked_id(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DslTypeError(
            f'Argument for "{name}" must be an int, not {type(value).__name__}. Got: {value!r}.',
            code="SECURITY_CONTEXT_TYPE",
        )
    if not 0 <= value < 2**63:
        raise DslValueError(
            f'Argument for "{name}" must be greater than or equal to 0. Got: {value}.', code="SECURITY_CONTEXT_INVALID"
        )
    return value


def add_init_container(
    task: PipelineTask,
    name: str,
    image: str,
    command: Sequence[str] | None = None,
    args: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    volume_mounts: Mapping[str, str] | None = None,
    restart_policy: str | None = None,
    resource_requests: Mapping[str, str] | None = None,
    resource_limits: Mapping[str, str] | None = None,
) -> PipelineTask:
    """Add a container to the pod that ends before the task starts, or that runs beside the task.

    Args:
        task: A task of a component with a container.
        name: The container's name, unique in the task.
        image: Its image.
        command: Its command. Default: the image's entry point.
        args: Its arguments. Default: none.
        env: Its environment variables. Default: none.
        volume_mounts: Names of the pod's volumes to absolute paths in the container. Default: none.
        restart_policy: `Always` makes it run beside the task (a sidecar). Default: None: it ends before the task.
        resource_requests: Resources that it needs, such as `{"memory": "100Mi"}`. Default: none.
        resource_limits: Resources that it may use at most. Default: none.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: A text is empty (`INIT_CONTAINER_INVALID`), the name is reserved
            (`INIT_CONTAINER_NAME_RESERVED`) or used already (`INIT_CONTAINER_TWICE`), a path is not absolute
            (`INIT_CONTAINER_MOUNT_INVALID`), or the restart policy is another one
            (`INIT_CONTAINER_RESTART_POLICY`).
    """
    settings.constants(name=name, image=image, command=command, args=args, env=dict(env or {}))
    _check_init_container(task, name, image, restart_policy)
    for variable in env or {}:
        _check_given("env", variable)
    for volume, path in (volume_mounts or {}).items():
        _check_given("volume_mounts", volume)
        if not path.startswith("/"):
            raise DslValueError(
                f'Mount path for volume "{volume}" must be an absolute path. Got: {path!r}.',
                code="INIT_CONTAINER_MOUNT_INVALID",
            )
    for resource, quantity in (*(resource_requests or {}).items(), *(resource_limits or {}).items()):
        _check_given("resource_requests and resource_limits", resource, quantity)
    entry = settings.without(
        name=name,
        image=image,
        command=list(command or ()),
        args=list(args or ()),
        env=[settings.without(name=key, value=value) for key, value in (env or {}).items()],
        volumeMounts=[{"volumeName": volume, "mountPath": path} for volume, path in (volume_mounts or {}).items()],
        restartPolicy=restart_policy,
        resources=settings.without(requests=dict(resource_requests or {}), limits=dict(resource_limits or {})),
    )
    return settings.append(task, "initContainers", entry)


def _check_init_container(task: PipelineTask, name: str, image: str, restart_policy: str | None) -> None:
    _check_given("name", name)
    _check_given("image", image)
    if name == _RESERVED_NAME:
        raise DslValueError(
            f"The init container name {name!r} is reserved by Kubeflow Pipelines.", code="INIT_CONTAINER_NAME_RESERVED"
        )
    if restart_policy not in (None, "Always"):
        raise DslValueError(
            f'Argument for "restart_policy" must be "Always" if provided. Got: {restart_policy!r}.',
            code="INIT_CONTAINER_RESTART_POLICY",
        )
    if any(known["name"] == name for known in settings.of(task).get("initContainers", [])):
        raise DslValueError(
            f"An init container named {name!r} was already added to this task.", code="INIT_CONTAINER_TWICE"
        )


def _check_given(argument: str, *texts: str) -> None:
    if not all(isinstance(text, str) and text for text in texts):
        raise DslValueError(
            f'Texts in "{argument}" must not be empty: {", ".join(map(repr, texts))}.', code="INIT_CONTAINER_INVALID"
        )
