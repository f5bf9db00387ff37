"""Namespaces and creators: what is made carries both."""

from __future__ import annotations

import pytest

import documents
from fake_executor import World
from headrace.engine import decode_header
from headrace.service import runs
from headrace.service.access import Caller, Source
from headrace.service.service import NewRun, NewVersion, Rerun
from headrace.service.session import Session
from headrace.store import runs as rows
from headrace.store.database import Connection
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio


def by(service: Service, user: str) -> Session:
    """A session of this user, who may do everything."""
    return service.for_caller(Caller(user=user, namespaces=None, source=Source.PROCESS))


async def test_a_run_its_artifacts_and_its_state_carry_namespace_and_creator(service: Service, world: World):
    new = NewRun(pipeline_spec=documents.one_task(), namespace="team", service_account="trainer")
    made = await by(service, "ada").create_run(new)
    assert (made.namespace, made.created_by) == ("team", "ada")
    record = await until_final(service, made.run_id)
    assert (record.namespace, record.created_by) == ("team", "ada")
    loaded = await runs.load(service._context, made.run_id)
    assert loaded is not None
    state = loaded.state
    assert (state.namespace, state.service_account, state.created_by) == ("team", "trainer", "ada")
    outputs = [one for e in await service.get_executions(made.run_id) for one in e.outputs.artifacts.values() if one]
    artifact = await service.get_artifact(outputs[0][0].artifact_id)
    assert (artifact.namespace, artifact.created_by) == ("team", "ada")
    again = await by(service, "grace").rerun_run(made.run_id, Rerun(again=("work",)))
    assert (again.namespace, again.created_by) == ("team", "grace")
    experiment = await service.get_experiment(made.experiment_id)
    assert (experiment.namespace, experiment.created_by) == ("team", "ada")


async def test_a_run_of_an_older_version_gets_its_namespace_from_its_row(service: Service, world: World):
    made = await by(service, "ada").create_run(NewRun(pipeline_spec=documents.one_task(), namespace="team"))
    await until_final(service, made.run_id)

    def as_an_older_version_wrote_it(conn: Connection) -> str:
        head = conn.execute(rows.select(rows.runs.c.head)).scalar_one()
        for name, value in (("namespace", "team"), ("created_by", "ada"), ("service_account", "pipeline-runner")):
            head = head.replace(f'"{name}":"{value}",', "")
        conn.execute(rows.update(rows.runs).values(head=head))
        return str(head)

    head = decode_header(await service._context.write(as_an_older_version_wrote_it))
    assert (head.namespace, head.created_by) == ("", "")
    loaded = await runs.load(service._context, made.run_id)
    assert loaded is not None
    assert (loaded.state.namespace, loaded.state.created_by, loaded.state.service_account) == (
        "team", "ada", "pipeline-runner",
    )  # fmt: skip


async def test_pipelines_and_versions_carry_namespace_and_creator(service: Service):
    first = NewVersion(name="v1", pipeline_spec=documents.one_task())
    pipeline = await by(service, "ada").create_pipeline(name="p", namespace="team", version=first)
    assert (await service.get_pipeline(pipeline.pipeline_id)).created_by == "ada"
    second = NewVersion(name="v2", pipeline_spec=documents.one_task())
    made = await by(service, "grace").create_version(pipeline.pipeline_id, second)
    read = await service.get_version(made.pipeline_version_id)
    assert (made.namespace, made.created_by) == (read.namespace, read.created_by) == ("team", "grace")
