"""Secrets, config maps and facts about the pod, as environment variables or files."""

from __future__ import annotations

from headrace.dsl.pipeline_task import PipelineTask
from headrace.kubernetes import settings
from headrace.kubernetes.settings import Text


def use_secret_as_env(
    task: PipelineTask, secret_name: Text, secret_key_to_env: dict[str, str], optional: bool = False
) -> PipelineTask:
    """Set environment variables of the task from keys of a Kubernetes Secret.

    The document holds the names only, never the values.

    Args:
        task: A task of a component with a container.
        secret_name: The Secret's name, or a text parameter of the pipeline.
        secret_key_to_env: Key of the Secret to name of the variable: `{"password": "DB_PASSWORD"}`.
        optional: Whether the task also starts if the Secret or a key does not exist. Default: False.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     kubernetes.use_secret_as_env(work(), "database", {"password": "DB_PASSWORD"})
    """
    settings.constants(secret_key_to_env=secret_key_to_env, optional=optional)
    keys = [settings.without(secretKey=key, envVar=variable) for key, variable in secret_key_to_env.items()]
    entry = settings.named("secretName", secret_name, what="name of the secret")
    return settings.append(task, "secretAsEnv", {**entry, **settings.without(keyToEnv=keys), "optional": optional})


def use_secret_as_volume(
    task: PipelineTask, secret_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:  # fmt: skip
    """Mount the keys of a Kubernetes Secret as files of a folder.

    Args:
        task: A task of a component with a container.
        secret_name: The Secret's name, or a text parameter of the pipeline.
        mount_path: The folder, an absolute path in the container. Each key is a file of it.
        optional: Whether the task also starts if the Secret does not exist. Default: False.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     kubernetes.use_secret_as_volume(work(), "certificates", mount_path="/certificates")
    """
    settings.constants(mount_path=mount_path, optional=optional)
    entry = settings.named("secretName", secret_name, what="name of the secret")
    place = settings.without(mountPath=mount_path)
    return settings.append(task, "secretAsVolume", {**entry, **place, "optional": optional})


def use_config_map_as_env(
    task: PipelineTask, config_map_name: Text, config_map_key_to_env: dict[str, str], optional: bool = False
) -> PipelineTask:
    """Set environment variables of the task from keys of a Kubernetes ConfigMap.

    Args:
        task: A task of a component with a container.
        config_map_name: The ConfigMap's name, or a text parameter of the pipeline.
        config_map_key_to_env: Key of the ConfigMap to name of the variable: `{"level": "LOG_LEVEL"}`.
        optional: Whether the task also starts if the ConfigMap or a key does not exist. Default: False.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    settings.constants(config_map_key_to_env=config_map_key_to_env, optional=optional)
    keys = [settings.without(configMapKey=key, envVar=variable) for key, variable in config_map_key_to_env.items()]
    entry = settings.named("configMapName", config_map_name, what="name of the config map")
    return settings.append(task, "configMapAsEnv", {**entry, **settings.without(keyToEnv=keys), "optional": optional})


def use_config_map_as_volume(
    task: PipelineTask, config_map_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:
    """Mount the keys of a Kubernetes ConfigMap as files of a folder.

    Args:
        task: A task of a component with a container.
        config_map_name: The ConfigMap's name, or a text parameter of the pipeline.
        mount_path: The folder, an absolute path in the container. Each key is a file of it.
        optional: Whether the task also starts if the ConfigMap does not exist. Default: False.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    settings.constants(mount_path=mount_path, optional=optional)
    entry = settings.named("configMapName", config_map_name, what="name of the config map")
    place = settings.without(mountPath=mount_path)
    return settings.append(task, "configMapAsVolume", {**entry, **place, "optional": optional})


def use_field_path_as_env(task: PipelineTask, env_name: str, field_path: str) -> PipelineTask:
    """Set an environment variable of the task from a field of its pod.

    Args:
        task: A task of a component with a container.
        env_name: The variable's name.
        field_path: The field, such as `spec.nodeName`, `metadata.namespace` or `status.podIP`.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    settings.constants(env_name=env_name, field_path=field_path)
    return settings.append(task, "fieldPathAsEnv", settings.without(name=env_name, fieldPath=field_path))
