"""How documents say what wrote them."""

from __future__ import annotations

import headrace

SDK_VERSION = f"headrace-{headrace.__version__}"
