"""Experiments, pipelines and versions: names, limits, what may be deleted when."""

from __future__ import annotations

import asyncio

import pytest

import documents
from headrace.service.errors import AlreadyExists, Conflict, Invalid, NotFound
from headrace.service.service import NewRun, NewVersion
from headrace.store.records import ListQuery, Predicate
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio


def a_version(name: str = "v1", **fields) -> NewVersion:
    return NewVersion(**({"name": name, "pipeline_spec": documents.one_task()} | fields))


# --- experiments ---------------------------------------------------------------------------------


async def test_the_default_experiment_is_there_and_stays(service: Service):
    (default,) = (await service.list_experiments(ListQuery())).items
    assert (default.display_name, default.last_run_created_at) == ("Default", None)
    with pytest.raises(Conflict):
        await service.delete_experiment(default.experiment_id)
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    assert made.experiment_id == default.experiment_id
    assert (await service.get_experiment(default.experiment_id)).last_run_created_at == made.created_at


async def test_an_experiments_name_is_taken_once(service: Service):
    await service.create_experiment(name="e")
    with pytest.raises(AlreadyExists):
        await service.create_experiment(name="e")
    await service.create_experiment(name="e", namespace="elsewhere")


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "NAME_MISSING"), ("  ", "NAME_MISSING"), ("x" * 129, "NAME_TOO_LONG"), ("a\0b", "NAME_INVALID")],
)
async def test_bad_names_are_refused(service: Service, name: str, code: str):
    for attempt in (service.create_experiment(name=name), service.create_pipeline(name=name)):
        with pytest.raises(Invalid) as caught:
            await attempt
        assert caught.value.code == code


async def test_an_experiment_named_by_several_runs_at_once_is_made_once(service: Service):
    new = NewRun(pipeline_spec=documents.one_task(), experiment_name="together")
    made = await asyncio.gather(*(service.create_run(new) for _ in range(8)))
    assert len({run.experiment_id for run in made}) == 1


async def test_runs_outlive_their_experiment(service: Service):
    experiment = await service.create_experiment(name="e")
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), experiment_id=experiment.experiment_id))
    await until_final(service, made.run_id)
    await service.delete_experiment(experiment.experiment_id)
    with pytest.raises(NotFound):
        await service.get_experiment(experiment.experiment_id)
    record = await service.get_run(made.run_id)
    assert (record.experiment_id, record.experiment_name) == (experiment.experiment_id, "")


# --- pipelines -----------------------------------------------------------------------------------


async def test_a_pipeline_and_its_first_version_come_together_or_not_at_all(service: Service):
    with pytest.raises(Invalid):
        await service.create_pipeline(name="p", version=a_version(pipeline_spec={}))
    with pytest.raises(NotFound):
        await service.get_pipeline_by_name("p")
    made = await service.create_pipeline(name="p", description="d", tags={"a": "b"}, version=a_version("p"))
    assert await service.get_pipeline(made.pipeline_id) == await service.get_pipeline_by_name("p") == made
    (version,) = (await service.list_versions(made.pipeline_id, ListQuery())).items
    assert (version.name, version.display_name, version.pipeline_spec) == ("p", "p", documents.one_task())
    with pytest.raises(AlreadyExists):
        await service.create_pipeline(name="p")


async def test_versions_have_names_of_their_own(service: Service):
    made = await service.create_pipeline(name="p")
    one = await service.create_version(made.pipeline_id, a_version())
    with pytest.raises(AlreadyExists):
        await service.create_version(made.pipeline_id, a_version())
    with pytest.raises(NotFound):
        await service.create_version("nope", a_version())
    changed = await service.update_version(one.pipeline_version_id, display_name="V", tags={"k": "v"})
    assert (changed.display_name, changed.tags, changed.name) == ("V", {"k": "v"}, "v1")
    await service.delete_version(one.pipeline_version_id)
    for call in (service.get_version, service.delete_version):
        with pytest.raises(NotFound):
            await call(one.pipeline_version_id)


async def test_a_pipeline_with_versions_is_deleted_only_with_them(service: Service):
    made = await service.create_pipeline(name="p", version=a_version())
    with pytest.raises(Conflict) as caught:
        await service.delete_pipeline(made.pipeline_id)
    assert caught.value.code == "PIPELINE_HAS_VERSIONS"
    await service.delete_pipeline(made.pipeline_id, cascade=True)
    for call in (service.get_pipeline, service.delete_pipeline):
        with pytest.raises(NotFound):
            await call(made.pipeline_id)
    assert (await service.list_pipelines(ListQuery())).total_size == 0


async def test_updates_leave_alone_what_is_not_named(service: Service):
    made = await service.create_pipeline(name="p", tags={"a": "b"})
    assert (await service.update_pipeline(made.pipeline_id, display_name="P")).tags == {"a": "b"}
    changed = await service.update_pipeline(made.pipeline_id, tags={})
    assert (changed.display_name, changed.tags) == ("P", {})
    with pytest.raises(NotFound):
        await service.update_pipeline("nope", display_name="P")


@pytest.mark.parametrize(
    "tags", [{"": "x"}, {"a.b": "x"}, {"k" * 64: "x"}, {"k": "v" * 64}, {f"k{n}": "v" for n in range(21)}]
)
async def test_bad_tags_are_refused(service: Service, tags: dict[str, str]):
    with pytest.raises(Invalid) as caught:
        await service.create_pipeline(name="p", tags=tags)
    assert caught.value.code == "TAGS_INVALID"


async def test_what_the_store_cannot_list_is_invalid(service: Service):
    for query in (
        ListQuery(sort_by="secret"), ListQuery(page_token="x"), ListQuery(page_size=-1),
        ListQuery(predicates=(Predicate(key="nope", operation="EQUALS", value="x"),)),
    ):  # fmt: skip
        for call in (service.list_runs, service.list_pipelines, service.list_experiments):
            with pytest.raises(Invalid):
                await call(query)
