"""The names of `kfp.kubernetes.pod_metadata`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.pod import add_pod_annotation as add_pod_annotation
from headrace.kubernetes.pod import add_pod_label as add_pod_label
