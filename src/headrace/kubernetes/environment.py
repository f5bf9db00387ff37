"""Secrets, config maps and facts about the pod, as environment variables or files."""

from __future__ import annotations

from headrace.dsl.pipeline_task import PipelineTask
from headrace.kubernetes import settings
from headrace.kubernetes.settings import Text


def use_secret_as_env(
    task: PipelineTask, secret_name: Text, secret_key_to_env: dict[str, str], optional: bool = False
) -> PipelineTask:
    """Keys of a Secret as environment variables: `{'password': 'DB_PASSWORD'}`."""
    settings.constants(secret_key_to_env=secret_key_to_env, optional=optional)
    keys = [settings.without(secretKey=key, envVar=variable) for key, variable in secret_key_to_env.items()]
    entry = settings.named("secretName", secret_name, what="name of the secret")
    return settings.append(task, "secretAsEnv", {**entry, **settings.without(keyToEnv=keys), "optional": optional})


def use_secret_as_volume(
    task: PipelineTask, secret_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:  # fmt: skip
    """A Secret's keys as files in a folder."""
    settings.constants(mount_path=mount_path, optional=optional)
    entry = settings.named("secretName", secret_name, what="name of the secret")
    place = settings.without(mountPath=mount_path)
    return settings.append(task, "secretAsVolume", {**entry, **place, "optional": optional})


def use_config_map_as_env(
    task: PipelineTask, config_map_name: Text, config_map_key_to_env: dict[str, str], optional: bool = False
) -> PipelineTask:
    """Keys of a ConfigMap as environment variables: `{'level': 'LOG_LEVEL'}`."""
    settings.constants(config_map_key_to_env=config_map_key_to_env, optional=optional)
    keys = [settings.without(configMapKey=key, envVar=variable) for key, variable in config_map_key_to_env.items()]
    entry = settings.named("configMapName", config_map_name, what="name of the config map")
    return settings.append(task, "configMapAsEnv", {**entry, **settings.without(keyToEnv=keys), "optional": optional})


def use_config_map_as_volume(
    task: PipelineTask, config_map_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:
    """A ConfigMap's keys as files in a folder."""
    settings.constants(mount_path=mount_path, optional=optional)
    entry = settings.named("configMapName", config_map_name, what="name of the config map")
    place = settings.without(mountPath=mount_path)
    return settings.append(task, "configMapAsVolume", {**entry, **place, "optional": optional})


def use_field_path_as_env(task: PipelineTask, env_name: str, field_path: str) -> PipelineTask:
    """A field of the pod, such as `spec.nodeName`, as an environment variable."""
    settings.constants(env_name=env_name, field_path=field_path)
    return settings.append(task, "fieldPathAsEnv", settings.without(name=env_name, fieldPath=field_path))
