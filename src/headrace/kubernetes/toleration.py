"""The names of `kfp.kubernetes.toleration`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.scheduling import add_toleration as add_toleration
from headrace.kubernetes.scheduling import add_toleration_json as add_toleration_json
