"""The names of `kfp.kubernetes.timeout`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.pod import set_timeout as set_timeout
