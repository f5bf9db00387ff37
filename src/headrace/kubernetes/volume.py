"""The names of `kfp.kubernetes.volume`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.volumes import CreatePVC as CreatePVC
from headrace.kubernetes.volumes import DeletePVC as DeletePVC
from headrace.kubernetes.volumes import add_ephemeral_volume as add_ephemeral_volume
from headrace.kubernetes.volumes import mount_pvc as mount_pvc
