import os
from pathlib import Path

# As for `properties`: the corpus lies beside the repository where people work on it, and no package brings it.
_CORPUS = Path(__file__).parents[4] / "shared" / "conformance" / "ir"
_FORBID_SKIPS = os.environ.get("HEADRACE_TEST_FORBID_SKIPS") == "1"
collect_ignore = ["test_corpus.py"] if _FORBID_SKIPS and not _CORPUS.is_dir() else []
