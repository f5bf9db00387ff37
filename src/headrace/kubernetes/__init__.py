"""Settings of tasks that only Kubernetes understands, stored on the task; it never connects to a cluster."""

from __future__ import annotations

from headrace.kubernetes.environment import (
    use_config_map_as_env,
    use_config_map_as_volume,
    use_field_path_as_env,
    use_secret_as_env,
    use_secret_as_volume,
)
from headrace.kubernetes.pod import (
    add_init_container,
    add_pod_annotation,
    add_pod_label,
    set_image_pull_policy,
    set_image_pull_secrets,
    set_security_context,
    set_timeout,
)
from headrace.kubernetes.scheduling import (
    add_node_affinity,
    add_node_affinity_json,
    add_node_selector,
    add_node_selector_json,
    add_pod_affinity,
    add_pod_affinity_json,
    add_toleration,
    add_toleration_json,
)
from headrace.kubernetes.volumes import (
    CreatePVC,
    DeletePVC,
    add_ephemeral_volume,
    empty_dir_mount,
    enable_shared_memory,
    mount_pvc,
)

__all__ = [
    "CreatePVC",
    "DeletePVC",
    "add_ephemeral_volume",
    "add_init_container",
    "add_node_affinity",
    "add_node_affinity_json",
    "add_node_selector",
    "add_node_selector_json",
    "add_pod_affinity",
    "add_pod_affinity_json",
    "add_pod_annotation",
    "add_pod_label",
    "add_toleration",
    "add_toleration_json",
    "empty_dir_mount",
    "enable_shared_memory",
    "mount_pvc",
    "set_image_pull_policy",
    "set_image_pull_secrets",
    "set_security_context",
    "set_timeout",
    "use_config_map_as_env",
    "use_config_map_as_volume",
    "use_field_path_as_env",
    "use_secret_as_env",
    "use_secret_as_volume",
]
