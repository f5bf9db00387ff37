"""The shapes of recurring runs in Headrace's own HTTP API, below `/api/recurring-runs`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from headrace.wire.api import Json, ReasonView, Shape

AtLimit: TypeAlias = Literal["wait", "skip", "cancel"]


class TimetableView(Shape, frozen=True, kw_only=True):
    """When a recurring run is due: a cron expression or an interval."""

    #: Five fields: minute, hour, day of month, month, day of week. Or `@daily` and the like.
    cron: str | None = None
    #: "classic": five fields. "kfp": the seconds first, as in KFP's API.
    dialect: Literal["classic", "kfp"] = "classic"
    #: Seconds; the first tick is one interval after `start`.
    interval_s: int | None = None
    #: IANA name of the zone in which the cron expression is read.
    time_zone: str = "UTC"
    #: Ticks are after `start` and not after `end`.
    start: str | None = None
    end: str | None = None
    #: Missed ticks that make a run: all, the `catch_up_limit` latest ones, the latest one, or none.
    catch_up: Literal["all", "latest", "none"] = "latest"
    catch_up_limit: Annotated[int, Meta(ge=1, le=100)] | None = None


class RecurringRunView(Shape, frozen=True, kw_only=True):
    """`GET /api/recurring-runs/{recurring_run_id}`: a recurring run."""

    recurring_run_id: str
    display_name: str
    description: str
    experiment_id: str
    #: Of one made from what was uploaded. Without a version, each tick takes the latest one.
    pipeline_id: str | None
    pipeline_version_id: str | None
    #: Arguments as given, with their macros.
    parameters: dict[str, Json]
    timetable: TimetableView
    max_concurrency: int
    at_limit: AtLimit
    enabled: bool
    created_at: str | None
    updated_at: str | None
    #: How many runs it has made.
    run_count: int
    last_tick_at: str | None
    #: The next tick, or a past one that waits; null when there is none any more.
    next_tick_at: str | None


class RecurringRunPage(Shape, frozen=True, kw_only=True):
    """`GET /api/recurring-runs`."""

    recurring_runs: list[RecurringRunView]
    total_size: int
    next_page_token: str = ""


class CreateRecurringRun(Shape, frozen=True, kw_only=True):
    """`POST /api/recurring-runs`: from a document's text, a version, or a pipeline's latest version at each tick."""

    display_name: Annotated[str, Meta(min_length=1)]
    description: str = ""
    #: YAML or JSON text of a pipeline.
    document: str | None = None
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    experiment_id: str | None = None
    #: Made when it does not exist.
    experiment_name: str | None = None
    #: Macros in texts are replaced in each run: `[[ScheduledTime]]`, `[[Index]]`, …
    parameters: dict[str, Json] = {}
    timetable: TimetableView
    #: Runs of it that may be unfinished at the same time.
    max_concurrency: Annotated[int, Meta(ge=1, le=10)] = 1
    #: What a tick does while so many are unfinished: wait, make no run, or cancel the oldest of them.
    at_limit: AtLimit = "wait"
    enabled: bool = True


class EditRecurringRun(Shape, frozen=True, kw_only=True):
    """`PATCH /api/recurring-runs/{recurring_run_id}`: what changes from the next tick on; null: nothing."""

    display_name: str | None = None
    description: str | None = None
    #: Another version of its pipeline; "" for the latest one at each tick.
    pipeline_version_id: str | None = None
    #: All of its arguments.
    parameters: dict[str, Json] | None = None
    #: The whole timetable; ticks count from now on.
    timetable: TimetableView | None = None
    max_concurrency: Annotated[int, Meta(ge=1, le=10)] | None = None
    at_limit: AtLimit | None = None
    enabled: bool | None = None


class PreviewTimetable(Shape, frozen=True, kw_only=True):
    """`POST /api/recurring-runs/preview`: when a timetable would be due. Nothing is made."""

    timetable: TimetableView
    count: Annotated[int, Meta(ge=1, le=100)] = 5


class Preview(Shape, frozen=True, kw_only=True):
    """The next times at which a timetable is due."""

    times: list[str]


class TickView(Shape, frozen=True, kw_only=True):
    """One tick, past or to come."""

    at: str
    #: "made a run", "no run" (the reason says why), "waiting", "coming", or "paused" (it is disabled).
    state: Literal["FIRED", "REFUSED", "WAITING", "COMING", "PAUSED"]
    #: When it was handled.
    handled_at: str | None = None
    run_id: str | None = None
    #: Ticks before it that were missed and made no run.
    missed_before: int = 0
    reason: ReasonView | None = None


class TickList(Shape, frozen=True, kw_only=True):
    """`GET /api/recurring-runs/{recurring_run_id}/ticks`: what came of each tick, and which ones come."""

    #: The newest first; at most 1,000 are kept.
    past: list[TickView]
    #: A tick that is due and has made no run yet.
    waiting: TickView | None = None
    coming: list[TickView]
