"""Recurring runs in Headrace's own API: cron of five fields in a time zone, edited in place, ticks explained."""

from __future__ import annotations

from headrace.client import core
from headrace.client.own_api import OwnApi
from headrace.wire import recurring_runs as wire
from headrace.wire.v2beta1 import Empty

_ALL = "/api/recurring-runs"
_ONE = _ALL + "/{recurring_run_id}"


class RecurringRunApi(OwnApi):
    """The methods of `Headrace` for recurring runs."""

    def list_recurring_runs(
        self, *, page_size: int = 20, page_token: str = "", experiment_id: str = "", search: str = ""
    ) -> wire.RecurringRunPage:
        """A page of recurring runs, newest first.

        Args:
            page_size: How many there are on a page at most. Default: 20.
            page_token: `next_page_token` of the page before. Default: the first page.
            experiment_id: Only those of this experiment. Default: all.
            search: Only those whose name contains this text. Default: all.

        Returns:
            The recurring runs, how many there are on all pages, and the token of the next page.
        """
        query = {"page_size": page_size, "page_token": page_token, "experiment_id": experiment_id, "search": search}
        return self._ask(core.get(_ALL, query), wire.RecurringRunPage)

    def get_recurring_run(self, recurring_run_id: str) -> wire.RecurringRunView:
        """One recurring run.

        Args:
            recurring_run_id: Its id.

        Returns:
            The recurring run.
        """
        return self._ask(core.get(_one(recurring_run_id)), wire.RecurringRunView)

    def create_recurring_run(self, wanted: wire.CreateRecurringRun) -> wire.RecurringRunView:
        """Make runs again and again by a timetable.

        Args:
            wanted: The document or what was uploaded, with a timetable, parameters and settings.

        Returns:
            The recurring run; it has its id.

        Raises:
            ApiError: The document, its arguments or the timetable cannot be right.
        """
        return self._ask(core.post(_ALL, wanted), wire.RecurringRunView)

    def edit_recurring_run(self, recurring_run_id: str, wanted: wire.EditRecurringRun) -> wire.RecurringRunView:
        """Change it in place, from the next tick on: its id, its runs and its history stay.

        Args:
            recurring_run_id: Its id.
            wanted: What changes; None leaves a field as it is.

        Returns:
            The recurring run as it is now.
        """
        return self._ask(core.patch(_one(recurring_run_id), wanted), wire.RecurringRunView)

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete it; its runs stay.

        Args:
            recurring_run_id: Its id.
        """
        self._ask(core.delete(_one(recurring_run_id)), Empty)

    def list_ticks(self, recurring_run_id: str, *, past: int = 20, coming: int = 5) -> wire.TickList:
        """What came of its ticks, and which ones come.

        Args:
            recurring_run_id: Its id.
            past: How many past ticks at most, the newest first. Default: 20.
            coming: How many coming ticks at most. Default: 5.

        Returns:
            The ticks; each that made no run has its reason.
        """
        query = {"past": past, "coming": coming}
        return self._ask(core.get(_one(recurring_run_id) + "/ticks", query), wire.TickList)

    def preview_timetable(self, timetable: wire.TimetableView, *, count: int = 5) -> list[str]:
        """When a timetable would be due. Nothing is made.

        Args:
            timetable: The timetable.
            count: How many times. Default: 5.

        Returns:
            The next times, in UTC.
        """
        wanted = wire.PreviewTimetable(timetable=timetable, count=count)
        return self._ask(core.post(_ALL + "/preview", wanted), wire.Preview).times


def _one(recurring_run_id: str) -> str:
    return core.path(_ONE, recurring_run_id=recurring_run_id)
