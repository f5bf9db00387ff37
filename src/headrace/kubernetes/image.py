"""The names of `kfp.kubernetes.image`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.pod import set_image_pull_policy as set_image_pull_policy
from headrace.kubernetes.pod import set_image_pull_secrets as set_image_pull_secrets
