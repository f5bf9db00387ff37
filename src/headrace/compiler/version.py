"""The version of the compiler, as documents name it."""

from __future__ import annotations

import headrace

SDK_VERSION = f"headrace-{headrace.__version__}"
