"""The names of `kfp.kubernetes.security_context`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.kubernetes.pod import set_security_context as set_security_context
