"""`python -m simulation SEED ...` in `tests`: live these histories, and print what happens. A seed is N or KIND:N."""

from __future__ import annotations

import sys
import traceback

from simulation.histories import made

for word in sys.argv[1:]:
    seed = int(word) if word.isdecimal() else word
    world = made(seed)
    try:
        world.run()
    except BaseException:
        print("\n".join(world.lines))
        print(world.faults)
        traceback.print_exc()
        sys.exit(1)
    print("\n".join(world.lines))
    print(f"{world.faults}\nseed {seed}: {world.digest}, {world.loop.steps} steps, {world.loop.time():.0f} s")
