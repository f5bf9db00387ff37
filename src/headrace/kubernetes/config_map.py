"""The names of `kfp.kubernetes.config_map`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.environment import use_config_map_as_env as use_config_map_as_env
from headrace.kubernetes.environment import use_config_map_as_volume as use_config_map_as_volume
