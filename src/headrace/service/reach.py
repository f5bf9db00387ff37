"""Which attempts of a run can be reached from here: those whose executor the earlier server had as well."""

from __future__ import annotations

from headrace.attempt.derive import launch_order
from headrace.engine.model import AttemptId
from headrace.service.active import ActiveRun, live_attempts
from headrace.service.context import Context


def out_of_reach(context: Context, run: ActiveRun, domains: frozenset[str] | None) -> list[AttemptId]:
    """The live attempts of the run that no executor of this server can reach.

    `domains`: the executor domains of the server that drove the run before; None when the run has had no attempt. An
    attempt can be reached when the executor that this server would choose for it makes attempts in one of them.
    """
    if domains is None:
        return []
    return [
        attempt
        for attempt in live_attempts(run)
        if context.executor.domain_of(launch_order(run.plan, run.state, attempt)) not in domains
    ]
