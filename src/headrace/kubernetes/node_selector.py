"""The names of `kfp.kubernetes.node_selector`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.scheduling import add_node_selector as add_node_selector
from headrace.kubernetes.scheduling import add_node_selector_json as add_node_selector_json
