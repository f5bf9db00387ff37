"""The names of `kfp.kubernetes.field`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.environment import use_field_path_as_env as use_field_path_as_env
