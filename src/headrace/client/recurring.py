"""Recurring runs, as `kfp.Client` has them; a server that does not support them answers with an error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.client import core
from headrace.client.calling import ApiClient, find_source
from headrace.wire import v2beta1 as wire

_ALL = "/apis/v2beta1/recurringruns"
_ONE = _ALL + "/{recurring_run_id}"


class RecurringRuns(ApiClient):
    """The methods of `kfp.Client` for recurring runs."""

    def create_recurring_run(
        self,
        experiment_id: str,
        job_name: str,
        description: str | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        interval_second: int | None = None,
        cron_expression: str | None = None,
        max_concurrency: int | None = 1,
        no_catchup: bool | None = None,
        params: Mapping[str, Any] | None = None,
        pipeline_package_path: str | Path | None = None,
        pipeline_id: str | None = None,
        version_id: str | None = None,
        enabled: bool = True,
        pipeline_root: str | None = None,
        enable_caching: bool | None = None,
        cache_key: str | None = None,
        service_account: str | None = None,
    ) -> wire.RecurringRun:
        """Start runs of a pipeline again and again: at an interval, or as a cron expression says.

        Args:
            experiment_id: The experiment of the runs; an empty text means the default one.
            job_name: The recurring run's name.
            description: What it is for. Default: none.
            start_time: No run before this time (RFC 3339). Default: now.
            end_time: No run after this time (RFC 3339). Default: without end.
            interval_second: The interval in seconds. Default: None.
            cron_expression: A cron expression with seconds first, if no interval is given. Default: None.
            max_concurrency: How many of its runs may be active at the same time. Default: 1.
            no_catchup: Whether runs whose time passed while it was disabled are left out. Default: None: they are
                made up for.
            params: Arguments of the pipeline by name. Default: its default values.
            pipeline_package_path: A YAML file, or an archive that has one. Default: None.
            pipeline_id: An uploaded pipeline, if no file is given. Default: None.
            version_id: One of its versions. Default: None: the latest one.
            enabled: Whether it starts runs now. Default: True.
            pipeline_root: Where the runs store their artifacts. Default: as the pipeline says.
            enable_caching: Whether results of earlier runs are reused, for all tasks. Default: None: as each task
                says.
            cache_key: A text that replaces the fingerprint of every task. Default: none.
            service_account: The Kubernetes service account of the tasks. Default: none.

        Returns:
            The recurring run.

        Raises:
            ValueError: Neither an interval nor a cron expression was given, or both.
        """
        source = find_source(pipeline_package_path, pipeline_id, version_id, enable_caching, cache_key)
        body = wire.RecurringRun(
            experiment_id=experiment_id or "",
            display_name=job_name,
            description=description or "",
            mode="ENABLE" if enabled else "DISABLE",
            pipeline_spec=source.pipeline_spec,
            pipeline_version_reference=source.reference,
            runtime_config=wire.RuntimeConfig(parameters=dict(params or {}), pipeline_root=pipeline_root or ""),
            trigger=_trigger(start_time, end_time, interval_second, cron_expression),
            max_concurrency="" if max_concurrency is None else str(max_concurrency),
            no_catchup=bool(no_catchup),
            service_account=service_account or "",
        )
        return self._ask(core.post(_ALL, body), wire.RecurringRun)

    def list_recurring_runs(
        self,
        page_token: str = "",
        page_size: int = 10,
        sort_by: str = "",
        experiment_id: str | None = None,
        namespace: str | None = None,
        filter: str | None = None,
    ) -> wire.RecurringRunList:
        """A page of recurring runs.

        Args:
            page_token: `next_page_token` of the page before. Default: the first page.
            page_size: How many there are on a page at most. Default: 10.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: as the server sorts them.
            experiment_id: Only those of this experiment. Default: None: all.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.
            filter: A filter in KFP's JSON form (predicates). Default: none.

        Returns:
            The recurring runs, and the token of the next page.
        """
        extra = {"experiment_id": experiment_id}
        return self._list(_ALL, wire.RecurringRunList, page_token, page_size, sort_by, filter, extra)

    def get_recurring_run(self, recurring_run_id: str, job_id: str | None = None) -> wire.RecurringRun:
        """A recurring run.

        Args:
            recurring_run_id: The recurring run's id.
            job_id: The old name of `recurring_run_id`. Default: None.

        Returns:
            The recurring run.
        """
        if job_id is not None:
            _warn("job_id", "recurring_run_id")
        where = core.path(_ONE, recurring_run_id=recurring_run_id or job_id or "")
        return self._ask(core.get(where), wire.RecurringRun)

    def enable_recurring_run(self, recurring_run_id: str) -> dict[str, Any]:
        """Let a recurring run start runs again.

        Args:
            recurring_run_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_ONE, recurring_run_id=recurring_run_id) + ":enable"))

    def disable_recurring_run(self, recurring_run_id: str) -> dict[str, Any]:
        """Stop a recurring run from starting runs. Runs that it started go on.

        Args:
            recurring_run_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_ONE, recurring_run_id=recurring_run_id) + ":disable"))

    def delete_recurring_run(self, recurring_run_id: str) -> dict[str, Any]:
        """Delete a recurring run. Its runs stay.

        Args:
            recurring_run_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.delete(core.path(_ONE, recurring_run_id=recurring_run_id)))

    def enable_job(self, job_id: str) -> dict[str, Any]:
        """The old name of `enable_recurring_run`; it warns when it is used.

        Args:
            job_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        _warn("enable_job", "enable_recurring_run")
        return self.enable_recurring_run(job_id)

    def disable_job(self, job_id: str) -> dict[str, Any]:
        """The old name of `disable_recurring_run`; it warns when it is used.

        Args:
            job_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        _warn("disable_job", "disable_recurring_run")
        return self.disable_recurring_run(job_id)

    def delete_job(self, job_id: str) -> dict[str, Any]:
        """The old name of `delete_recurring_run`; it warns when it is used.

        Args:
            job_id: The recurring run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        _warn("delete_job", "delete_recurring_run")
        return self.delete_recurring_run(job_id)


def _trigger(start: str | None, end: str | None, every_s: int | None, cron: str | None) -> wire.Trigger:
    if bool(every_s) == bool(cron):
        raise ValueError("Either interval_second or cron_expression is required, and not both.")
    if cron:
        return wire.Trigger(cron_schedule=wire.CronSchedule(start_time=start, end_time=end, cron=cron))
    schedule = wire.PeriodicSchedule(start_time=start, end_time=end, interval_second=str(every_s))
    return wire.Trigger(periodic_schedule=schedule)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"`{old}` is deprecated; use `{new}`.", DeprecationWarning, stacklevel=3)
