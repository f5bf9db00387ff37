from __future__ import annotations

import os
from pathlib import Path

# The corpus lies beside the repository on the machines of those who work on it. No package brings it, so where skips
# are forbidden it is left out instead.
_CORPUS = Path(__file__).parents[3] / "shared" / "conformance" / "ir"
_FORBID_SKIPS = os.environ.get("HEADRACE_TEST_FORBID_SKIPS") == "1"
collect_ignore = ["test_ir_corpus.py"] if _FORBID_SKIPS and not _CORPUS.is_dir() else []
