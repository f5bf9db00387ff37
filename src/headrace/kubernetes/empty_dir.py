"""The names of `kfp.kubernetes.empty_dir`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.volumes import empty_dir_mount as empty_dir_mount
