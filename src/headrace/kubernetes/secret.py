"""The names of `kfp.kubernetes.secret`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.environment import use_secret_as_env as use_secret_as_env
from headrace.kubernetes.environment import use_secret_as_volume as use_secret_as_volume
