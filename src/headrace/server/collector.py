"""The garbage collector of a server process: its pauses stop every thread, so they must be short."""

from __future__ import annotations

import gc

#: A young collection follows after so many new objects, a middle one after so many young ones, a full one after so
#: many middle ones. The defaults of Python are 700, 10, 10.
_THRESHOLDS = (10_000, 20, 50)


def shorten_collections() -> None:
    """Collect now, leave all that exists out of later collections, and collect less often.

    Imported modules and database tables are 100,000 objects that live as long as the process. Looking at them takes
    longer than the event loop may stand still (50 ms). What runs consist of has no cycles (see `engine.model.Value`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
