"""One of several servers for tests: `a_replica.py HOME DATABASE_URL LEASE_S URL_FILE`; answers at what it writes there."""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.server.serve import Running, run_server
from headrace.service.settings import Settings
from headrace.store.urls import DatabaseUrl


def main() -> None:
    home, url, lease_s, told = sys.argv[1:]

    def ready(running: Running) -> None:
        draft = Path(told).with_suffix(".new")
        draft.write_text(running.info.url)
        draft.replace(told)

    settings = Settings(home=Path(home), database=DatabaseUrl.parse(url), lease_s=float(lease_s), max_parallel=2)
    run_server(settings, port=0, on_ready=ready)


if __name__ == "__main__":
    main()
