"""All routes of the application, in one table."""

from __future__ import annotations

from headrace.server import description
from headrace.server.kfp import experiments, health, pipelines, recurring_runs, uploads
from headrace.server.kfp import runs as kfp_runs
from headrace.server.own import artifacts, cache, executions, session
from headrace.server.own import recurring_runs as own_recurring_runs
from headrace.server.own import runs as own_runs
from headrace.server.routes import Route

ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *own_runs.ROUTES,
    *executions.ROUTES,
    *artifacts.ROUTES,
    *cache.ROUTES,
    *own_recurring_runs.ROUTES,
    *description.ROUTES,
    *health.ROUTES,
    *experiments.ROUTES,
    *uploads.ROUTES,
    *pipelines.ROUTES,
    *kfp_runs.ROUTES,
    *recurring_runs.ROUTES,
)
