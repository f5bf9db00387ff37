"""Histories: one from each seed.

A seed is a number, or `KIND:NUMBER` for a world of one of `faults.KINDS`. `python -m simulation SEED` (in `tests`)
lives one and prints what happens in it.
"""

from __future__ import annotations

import contextlib
import functools
from random import Random
from typing import Any

from headrace.service.documents import plan_new
from headrace.service.errors import Invalid
from properties.random_documents import random_arguments, random_spec
from simulation.faults import Faults
from simulation.world import Seed, World

_SHOWN = 60
_DOCUMENTS = 200


def made(seed: Seed) -> World:
    """The world of this seed, before anything happens in it."""
    rng = Random(seed)
    faults = Faults.drawn(rng) if isinstance(seed, int) else Faults.of_kind(seed.split(":")[0], rng)
    specs = [(_spec(rng.randrange(_DOCUMENTS)), random_arguments(rng)) for _ in range(rng.choice((1, 1, 2)))]
    return World(seed, faults, specs)


@functools.lru_cache(_DOCUMENTS)
def _spec(number: int) -> dict[str, Any]:
    """One of the documents of all worlds: most that are drawn are refused, so they are kept."""
    rng = Random(f"document {number}")
    while True:
        spec = random_spec(rng, (2, 4, 8, 12), (0.0, 0.0, 0.1))
        with contextlib.suppress(Invalid):
            plan_new((spec, None))
            return spec


def history(seed: Seed) -> World:
    """Live it; an error says how to live it again, and what happened last."""
    world = made(seed)
    try:
        world.run()
    except BaseException as error:
        last = "\n".join(world.lines[-_SHOWN:])
        error.add_note(f"To live this history again: cd tests && python -m simulation {seed}")
        error.add_note(f"{world.faults}\n{last}")
        raise
    return world
