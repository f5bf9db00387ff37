"""Runs made from earlier ones: from tasks of one's choice, with other arguments or another document."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from headrace.engine import InvalidRerun, Plan, ReusePlan, plan_reuse
from headrace.service import runs
from headrace.service.active import ActiveRun
from headrace.service.context import Context
from headrace.service.errors import Invalid, NotFound
from headrace.service.loop import RunLoop
from headrace.service.plans import PlannedDocument
from headrace.service.requests import NewRun, Rerun
from headrace.store import runs as rows
from headrace.store.records import RunRecord

_AGAIN = " (again)"


async def rerun(
    context: Context, loop: RunLoop, run_id: str, wanted: Rerun, *, with_: Sequence[runs.WithRun] = ()
) -> RunRecord:
    """See `Session.rerun_run`; `with_` as for `runs.begin`."""
    earlier = await runs.load(context, run_id)
    if earlier is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    planned = await _planned(context, earlier, wanted)
    # In a thread: it looks at every execution of the earlier run.
    reuse_plan = await asyncio.to_thread(_reuse_plan, earlier, planned.plan, wanted)
    experiment = await runs.experiment_of(context, earlier.record)
    new = _new(earlier, planned.plan, wanted, None if experiment is None else experiment.experiment_id)
    return await runs.begin(context, loop, new, planned, rerun_of=run_id, reuse_plan=reuse_plan, with_=with_)


async def _planned(context: Context, earlier: ActiveRun, wanted: Rerun) -> PlannedDocument:
    if wanted.has_document:
        return await context.plans.of_document(wanted)
    digest = await context.read(rows.get_document_digest, earlier.run_id)
    if digest is None:
        raise NotFound(f"There is no run {earlier.run_id}.", run_id=earlier.run_id)
    return PlannedDocument(
        plan=earlier.plan,
        digest=digest,
        pipeline_id=earlier.record.pipeline_id,
        pipeline_version_id=earlier.record.pipeline_version_id,
    )


def _reuse_plan(earlier: ActiveRun, compiled: Plan, wanted: Rerun) -> ReusePlan:
    try:
        return plan_reuse(compiled, earlier.plan, earlier.state, wanted.again)
    except InvalidRerun as error:
        faults = [msgspec.to_builtins(fault) for fault in error.faults]
        raise Invalid(str(error), code=error.code, faults=faults) from error


def _new(earlier: ActiveRun, compiled: Plan, wanted: Rerun, experiment_id: str | None) -> NewRun:
    """The earlier run's request, with what is wanted otherwise. Arguments that the document lost are left out."""
    record = earlier.record
    inputs = compiled.document.root.inputs.parameters
    kept = {name: value for name, value in record.parameters.items() if name in inputs}
    return NewRun(
        display_name=wanted.display_name or f"{record.display_name.removesuffix(_AGAIN)[:1000]}{_AGAIN}",
        description=record.description,
        experiment_id=experiment_id,
        namespace=record.namespace,
        parameters={**kept, **wanted.parameters},
        pipeline_root=record.pipeline_root,
        service_account=record.service_account,
        created_by=wanted.created_by,
        caching=earlier.state.caching if wanted.caching is None else wanted.caching,
    )
