"""Volumes: claims made, mounted and deleted, and volumes that live as long as the pod."""

from __future__ import annotations

from headrace.dsl.component_decorator import container_component
from headrace.dsl.errors import DslTypeError
from headrace.dsl.pipeline_channel import PipelineChannel
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.structures import ContainerSpec
from headrace.dsl.types.type_annotations import OutputPath
from headrace.kubernetes import settings
from headrace.kubernetes.settings import IR, Text


# The backend knows these two components by their images and does the work itself; nothing is run. What is said of
# their inputs lands in the document, so it is kfp-kubernetes' wording to the letter.
@container_component
def CreatePVC(  # noqa: N802
    name: OutputPath(str),  # type: ignore[valid-type]
    access_modes: list[str],
    size: str,
    pvc_name: str | None = None,
    pvc_name_suffix: str | None = None,
    storage_class_name: str | None = "",
    volume_name: str | None = None,
    annotations: dict[str, str] | None = None,
    data_source: dict[str, str] | None = None,
) -> ContainerSpec:
    """Make a PersistentVolumeClaim; its output `name` is the claim's name.

    Args:
        access_modes: Values for ``PersistentVolumeClaim.spec.accessModes``.
        size: The size of storage requested by the PVC that will be
            provisioned. For example, ``'5Gi'``. Corresponds to
            `PersistentVolumeClaim.spec.resources.requests.storage
            <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaimSpec>`_.
        pvc_name: Name of the PVC. Corresponds to
            `PersistentVolumeClaim.metadata.name
            <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaim>`_.
            Only one of ``pvc_name`` and ``pvc_name_suffix`` can be provided.
        pvc_name_suffix: Prefix to use for a dynamically generated name, which
            will take the form ``<argo-workflow-name>-<pvc_name_suffix>``. Only
            one of ``pvc_name`` and ``pvc_name_suffix`` can be provided.
        storage_class_name: Name of StorageClass from which to provision the PV
            to back the PVC. ``None`` indicates to use the cluster's default
            storage_class_name. Set to ``''`` for a statically specified PVC.
        volume_name: Pre-existing PersistentVolume that should back the
            provisioned PersistentVolumeClaim. Used for statically
            specified PV only. Corresponds to
            `PersistentVolumeClaim.spec.volumeName
            <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaimSpec>`_.
        annotations: Annotations for the PVC's metadata. Corresponds to
            `PersistentVolumeClaim.metadata.annotations
            <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaim>`_.
        data_source: Specifies the data source for the PVC. This can be used to
            create a PVC from a VolumeSnapshot or to clone an existing PVC.
            Should be a dictionary with ``'apiGroup'``, ``'kind'``, and
            ``'name'`` keys. For example:
            ``{'apiGroup': 'snapshot.storage.k8s.io', 'kind': 'VolumeSnapshot', 'name': 'my-snapshot'}``.
            Corresponds to `PersistentVolumeClaim.spec.dataSource
            <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaimSpec>`_.
    """
    return ContainerSpec(image="argostub/createpvc")


@container_component
def DeletePVC(pvc_name: str) -> ContainerSpec:  # noqa: N802
    """Delete a PersistentVolumeClaim.

    Args:
        pvc_name: Name of the PVC to delete. Supports passing a runtime-generated name, such as a name provided by ``kubernetes.CreatePvcOp().outputs['name']``.
    """  # noqa: E501
    return ContainerSpec(image="argostub/deletepvc")


def mount_pvc(task: PipelineTask, pvc_name: Text, mount_path: str, sub_path: str = "") -> PipelineTask:
    """Mount a PersistentVolumeClaim, or a folder in it, into the container of the task.

    Args:
        task: A task of a component with a container.
        pvc_name: The claim's name, a text parameter of the pipeline, or `CreatePVC(...).outputs["name"]`.
        mount_path: The folder where it is mounted, an absolute path in the container.
        sub_path: A folder inside the claim. Default: the whole claim.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def write():
        ...     with open("/data/result.txt", "w") as file:
        ...         file.write("done")
        >>> @dsl.pipeline
        ... def sharing():
        ...     claim = kubernetes.CreatePVC(access_modes=["ReadWriteOnce"], size="5Gi", pvc_name_suffix="-data")
        ...     written = kubernetes.mount_pvc(write(), claim.outputs["name"], mount_path="/data")
        ...     kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(written)
    """
    settings.constants(mount_path=mount_path, sub_path=sub_path)
    if not isinstance(pvc_name, str | PipelineChannel):
        raise DslTypeError(
            f"The name of the claim must be a str or a parameter, not {type(pvc_name).__name__}.", code="SETTING_TYPE"
        )
    entry = {
        **_older_reference(pvc_name),
        "pvcNameParameter": settings.parameter(pvc_name, what="name of the claim"),
        **settings.without(mountPath=mount_path, subPath=sub_path),
    }
    return settings.append(task, "pvcMount", entry)


def _older_reference(pvc_name: Text) -> IR:
    """The name as fields of the mount itself, where backends before 2.15 look for it."""
    if isinstance(pvc_name, str):
        return {"constant": pvc_name}
    if pvc_name.producer is None:
        return {"componentInputParameter": pvc_name.full_name}
    return {"taskOutputParameter": {"producerTask": pvc_name.producer.name, "outputParameterKey": pvc_name.name}}


def add_ephemeral_volume(
    task: PipelineTask,
    volume_name: str,
    mount_path: str,
    access_modes: list[str],
    size: str,
    storage_class_name: str | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> PipelineTask:
    """Mount a volume that is made for the task's pod and deleted with it.

    Args:
        task: A task of a component with a container.
        volume_name: A name for the volume, unique in the pod.
        mount_path: The folder where it is mounted, an absolute path in the container.
        access_modes: Access modes, such as `["ReadWriteOnce"]`.
        size: How much it holds, as a Kubernetes quantity of bytes: `10Gi`.
        storage_class_name: The storage class. Default: the cluster's default class.
        labels: Labels of the claim. Default: none.
        annotations: Annotations of the claim. Default: none.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    settings.constants(
        volume_name=volume_name, mount_path=mount_path, access_modes=access_modes, size=size,
        storage_class_name=storage_class_name, labels=labels, annotations=annotations,
    )  # fmt: skip
    entry = settings.without(
        volumeName=volume_name,
        mountPath=mount_path,
        accessModes=list(access_modes),
        size=size,
        defaultStorageClass=True if storage_class_name is None else None,
        storageClassName=storage_class_name,
        metadata=settings.without(labels=dict(labels or {}), annotations=dict(annotations or {})),
    )
    return settings.append(task, "genericEphemeralVolume", entry)


def empty_dir_mount(
    task: PipelineTask, volume_name: str, mount_path: str, medium: str | None = None, size_limit: str | None = None
) -> PipelineTask:
    """Mount an empty folder that the containers of the pod share and that is deleted with the pod.

    Args:
        task: A task of a component with a container.
        volume_name: A name for the volume, unique in the pod.
        mount_path: The folder where it is mounted, an absolute path in the container.
        medium: `Memory` to keep it in memory, which counts as memory of the task. Default: the node's disk.
        size_limit: How much it may hold, as a Kubernetes quantity of bytes: `1Gi`. Default: no limit.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    settings.constants(volume_name=volume_name, mount_path=mount_path, medium=medium, size_limit=size_limit)
    entry = settings.without(volumeName=volume_name, mountPath=mount_path)
    # These two are written even when they are empty.
    entry.update({key: value for key, value in (("medium", medium), ("sizeLimit", size_limit)) if value is not None})
    return settings.append(task, "emptyDirMounts", entry)


def enable_shared_memory(task: PipelineTask, volume_name: str = "shm", size: str = "") -> PipelineTask:
    """Give the task more shared memory (`/dev/shm`) than the 64 MiB that containers have.

    PyTorch data loaders with several workers need it.

    Args:
        task: A task of a component with a container.
        volume_name: A name for the volume, unique in the pod. Default: `shm`.
        size: How much it may hold, as a Kubernetes quantity of bytes: `2Gi`. Default: as much as the node gives.

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
        ...     kubernetes.enable_shared_memory(work(), size="2Gi")
    """
    settings.constants(volume_name=volume_name, size=size)
    settings.of(task)["enabledSharedMemory"] = settings.without(volumeName=volume_name, size=size)
    return task
