"""Experiments, as KFP has them."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.kfp import views
from headrace.server.kfp.names import checked_name
from headrace.server.kfp.routing import LIST_QUERY, PREFIX, kfp_route
from headrace.server.listing import list_query
from headrace.server.routes import ApiCall
from headrace.service.access import Access, Resource, Verb
from headrace.wire import v2beta1 as wire


async def create_experiment(call: ApiCall) -> Response:
    """A new experiment."""
    body = await read_message(call, wire.Experiment)
    name = checked_name(body.display_name, "experiment", 128)
    return json_answer(views.experiment(await call.session.create_experiment(name=name, description=body.description)))


async def get_experiment(call: ApiCall) -> Response:
    """One experiment."""
    return json_answer(views.experiment(await call.session.get_experiment(call.path["experiment_id"])))


async def list_experiments(call: ApiCall) -> Response:
    """A page of experiments."""
    page = await call.session.list_experiments(list_query(call.query))
    return json_answer(
        wire.ExperimentList(
            experiments=[views.experiment(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def archive_experiment(call: ApiCall) -> Response:
    """Archive an experiment and the runs in it."""
    await call.session.set_experiment_archived(call.path["experiment_id"], True)
    return json_answer(wire.Empty())


async def unarchive_experiment(call: ApiCall) -> Response:
    """Bring an experiment back; its runs stay archived."""
    await call.session.set_experiment_archived(call.path["experiment_id"], False)
    return json_answer(wire.Empty())


async def delete_experiment(call: ApiCall) -> Response:
    """Delete an experiment; its runs stay."""
    await call.session.delete_experiment(call.path["experiment_id"])
    return json_answer(wire.Empty())


_PATH = f"{PREFIX}/experiments"
_route = partial(kfp_route, tag="ExperimentService")

ROUTES = (
    _route(
        method="POST",
        path=_PATH,
        handler=create_experiment,
        access=Access(Resource.EXPERIMENT, Verb.CREATE, "body"),
        summary="Create an experiment.",
        body=wire.Experiment,
        answer=wire.Experiment,
    ),
    _route(
        method="GET",
        path=_PATH,
        handler=list_experiments,
        access=Access(Resource.EXPERIMENT, Verb.READ, "query"),
        summary="List experiments.",
        answer=wire.ExperimentList,
        query=LIST_QUERY,
    ),
    _route(
        method="GET",
        path=_PATH + "/{experiment_id}",
        handler=get_experiment,
        access=Access(Resource.EXPERIMENT, Verb.READ),
        summary="Get an experiment.",
        answer=wire.Experiment,
    ),
    _route(
        method="DELETE",
        path=_PATH + "/{experiment_id}",
        handler=delete_experiment,
        access=Access(Resource.EXPERIMENT, Verb.DELETE),
        summary="Delete an experiment; its runs stay.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_PATH + "/{experiment_id}:archive",
        handler=archive_experiment,
        access=Access(Resource.EXPERIMENT, Verb.UPDATE),
        summary="Archive an experiment and its runs.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_PATH + "/{experiment_id}:unarchive",
        handler=unarchive_experiment,
        access=Access(Resource.EXPERIMENT, Verb.UPDATE),
        summary="Bring an archived experiment back.",
        answer=wire.Empty,
    ),
)
