"""Experiments: folders of runs."""

from __future__ import annotations

from headrace.service.context import Context, new_id
from headrace.service.errors import AlreadyExists, Conflict, NotFound
from headrace.service.naming import check_length, check_name
from headrace.store import errors as store
from headrace.store import experiments as rows
from headrace.store.records import ExperimentRecord, ListQuery, Page

DEFAULT_NAME = "Default"
_DEFAULT_DESCRIPTION = "All runs created without specifying an experiment will be grouped here."


def _new(context: Context, name: str, description: str, namespace: str, created_by: str) -> ExperimentRecord:
    check_name("experiment", name)
    check_length("namespace", namespace)
    return ExperimentRecord(
        experiment_id=new_id(),
        display_name=name,
        description=description,
        namespace=namespace,
        created_at=context.now(),
        created_by=created_by,
    )


async def create(context: Context, *, name: str, description: str, namespace: str, created_by: str) -> ExperimentRecord:
    """Raises AlreadyExists."""
    record = _new(context, name, description, namespace, created_by)
    try:
        await context.write(rows.insert_experiment, record)
    except store.Duplicate as error:
        raise AlreadyExists(
            f"There is an experiment named {name!r} already; choose another name.", name=name
        ) from error
    return record


async def find_or_create(context: Context, name: str, namespace: str = "", *, created_by: str = "") -> ExperimentRecord:
    """The experiment of this name; "" means the default one."""
    name = name or DEFAULT_NAME
    description = _DEFAULT_DESCRIPTION if name == DEFAULT_NAME else ""
    found = await context.read(rows.find_experiment, name, namespace)
    if found is not None:
        return found
    return await context.write(rows.find_or_insert_experiment, _new(context, name, description, namespace, created_by))


async def get(context: Context, experiment_id: str) -> ExperimentRecord:
    """Raises NotFound."""
    found = await context.read(rows.get_experiment, experiment_id)
    if found is None:
        raise NotFound(f"There is no experiment {experiment_id}.", experiment_id=experiment_id)
    return found


async def list_page(context: Context, query: ListQuery) -> Page[ExperimentRecord]:
    """One page."""
    return await context.read(rows.list_experiments, query, context.keys.page_tokens)


async def set_archived(context: Context, experiment_id: str, archived: bool) -> None:
    """Archiving takes its runs along and disables its recurring runs; bringing back brings back itself alone."""
    await get(context, experiment_id)
    changed = await context.write(rows.set_archived, experiment_id, archived, context.now())
    context.changes.notify(changed)


async def delete(context: Context, experiment_id: str) -> None:
    """Its runs stay. The default experiment cannot be deleted."""
    record = await get(context, experiment_id)
    if record.display_name == DEFAULT_NAME:
        raise Conflict("The default experiment cannot be deleted: runs without an experiment go there.")
    await context.write(rows.delete_experiment, experiment_id)
