"""The names of `kfp.kubernetes.node_affinity`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.scheduling import add_node_affinity as add_node_affinity
from headrace.kubernetes.scheduling import add_node_affinity_json as add_node_affinity_json
