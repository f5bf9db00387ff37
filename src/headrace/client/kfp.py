"""A client with the methods and arguments of `kfp.Client`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from headrace.client import core, packages
from headrace.client.calling import find_source
from headrace.client.credentials import token_of
from headrace.client.recurring import RecurringRuns
from headrace.client.server_address import find_server_address
from headrace.client.transport import Transport
from headrace.wire import v2beta1 as wire

_PREFIX = "/apis/v2beta1"
_EXPERIMENTS = f"{_PREFIX}/experiments"
_EXPERIMENT = _EXPERIMENTS + "/{experiment_id}"
_PIPELINES = f"{_PREFIX}/pipelines"
_PIPELINE = _PIPELINES + "/{pipeline_id}"
_VERSIONS = _PIPELINE + "/versions"
_VERSION = _VERSIONS + "/{pipeline_version_id}"
_RUNS = f"{_PREFIX}/runs"
_RUN = _RUNS + "/{run_id}"
_FINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})


class RunPipelineResult:
    """A run that was just created, with its `run_id` and `run_info`.

    Args:
        client: The client that created it.
        run_info: The run as the server answered.
    """

    def __init__(self, client: Client, run_info: wire.Run) -> None:
        self._client = client
        self.run_info = run_info
        self.run_id = run_info.run_id

    def wait_for_run_completion(self, timeout: float | timedelta | None = None) -> wire.Run:
        """Wait until the run has ended, in whatever state.

        Args:
            timeout: How long to wait, in seconds or as a `timedelta`. Default: None: without limit.

        Returns:
            The run.

        Raises:
            TimeoutError: The run has not ended by then.
        """
        return self._client.wait_for_run_completion(self.run_id, timeout)

    def __repr__(self) -> str:
        return f"RunPipelineResult(run_id={self.run_id})"


class Client(RecurringRuns):
    """The client with the methods of `kfp.Client`, for KFP's API.

    Arguments are in KFP's order, and answers have KFP's fields as attributes. Every method raises ApiError when the
    server refuses the request, with `status`, `reason` and `body` as KFP has them.

    Args:
        host: The server's address. Default: `$KF_PIPELINES_ENDPOINT`, `$HEADRACE_URL`, or the server that runs over
            the data directory.
        client_id: Refused: this client does not go through Google's proxy. Default: None.
        namespace: The namespace of requests. Default: `kubeflow`, which means none.
        other_client_id: Refused, as `client_id`. Default: None.
        other_client_secret: Refused, as `client_id`. Default: None.
        existing_token: The server's token. Default: `$HEADRACE_TOKEN`, or the token of the data directory.
        cookies: A `Cookie` header that is sent with each request. Default: none.
        proxy: Refused: this client connects to the server directly. Default: None.
        ssl_ca_cert: A file with certificates to trust. Default: those of the system.
        kube_context: Refused: this client does not ask Kubernetes. Default: None.
        credentials: An object that knows the token, such as `ServiceAccountTokenVolumeCredentials()`: it has
            `refresh_api_key_hook(config)`, as KFP's have, or `get_token()`. It is asked once, now. Default: none.
        ui_host: The address of the UI in links that are printed. Default: `$KF_PIPELINES_UI_ENDPOINT`, or `host`.
        verify_ssl: Whether certificates are checked. Default: None: they are.
        home: The data directory. Default: `$HEADRACE_HOME`, else `~/.headrace`.
        verbose: Whether links to what was created are printed. Default: True.

    Raises:
        ValueError: A refused argument was given.
        ServerUnreachable: No address was given and no server runs over the data directory.

    Example:
        from headrace import Client

        client = Client("http://127.0.0.1:8090")
        run = client.create_run_from_pipeline_package("pipeline.yaml", arguments={"rate": 0.1})
        print(run.wait_for_run_completion(timeout=3600).state)
    """

    def __init__(
        self,
        host: str | None = None,
        client_id: str | None = None,
        namespace: str = "kubeflow",
        other_client_id: str | None = None,
        other_client_secret: str | None = None,
        existing_token: str | None = None,
        cookies: str | None = None,
        proxy: str | None = None,
        ssl_ca_cert: str | None = None,
        kube_context: str | None = None,
        credentials: Any = None,
        ui_host: str | None = None,
        verify_ssl: bool | None = None,
        *,
        home: Path | None = None,
        verbose: bool = True,
    ) -> None:
        _refuse(
            client_id=client_id,
            other_client_id=other_client_id,
            other_client_secret=other_client_secret,
            proxy=proxy,
            kube_context=kube_context,
        )
        token = existing_token or token_of(credentials)
        address = find_server_address(host or os.environ.get("KF_PIPELINES_ENDPOINT"), token, home)
        headers = {"Cookie": cookies} if cookies else {}
        super().__init__(
            Transport(address, verify_ssl=verify_ssl is not False, ca_file=ssl_ca_cert or "", headers=headers)
        )
        self._namespace = "" if namespace == "kubeflow" else namespace
        self._ui = (os.environ.get("KF_PIPELINES_UI_ENDPOINT") or ui_host or address.url).rstrip("/")
        self._verbose = verbose

    def get_kfp_healthz(self, sleep_duration: int = 5) -> wire.Health:
        """Ask whether the server answers.

        Args:
            sleep_duration: Accepted because KFP has it. Default: 5.

        Returns:
            The health.
        """
        return self._ask(core.get(f"{_PREFIX}/healthz"), wire.Health)

    def get_user_namespace(self) -> str:
        """The namespace of requests; an empty text means none."""
        return self._namespace

    def set_user_namespace(self, namespace: str) -> None:
        """Change the namespace of this client's requests.

        Args:
            namespace: The namespace.
        """
        self._namespace = namespace

    # experiments -------------------------------------------------------------------------------
    def create_experiment(
        self, name: str, description: str | None = None, namespace: str | None = None
    ) -> wire.Experiment:
        """Create an experiment, or return the one that has this name.

        Args:
            name: The experiment's name.
            description: What it is about. Default: none.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.

        Returns:
            The experiment.
        """
        found = self._named_experiments(name)
        if found:
            return found[0]
        body = wire.Experiment(display_name=name, description=description or "")
        made = self._ask(core.post(_EXPERIMENTS, body), wire.Experiment)
        self._tell("Experiment", f"experiments/{made.experiment_id}")
        return made

    def get_experiment(
        self, experiment_id: str | None = None, experiment_name: str | None = None, namespace: str | None = None
    ) -> wire.Experiment:
        """An experiment, by id or by name.

        Args:
            experiment_id: The experiment's id. Default: None.
            experiment_name: Its name, if no id is given. Default: None.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.

        Returns:
            The experiment.

        Raises:
            ValueError: Neither was given, or no experiment has this name.
        """
        if experiment_id is not None:
            return self._ask(core.get(core.path(_EXPERIMENT, experiment_id=experiment_id)), wire.Experiment)
        if experiment_name is None:
            raise ValueError("Either experiment_id or experiment_name is required.")
        found = self._named_experiments(experiment_name)
        if not found:
            raise ValueError(f"No experiment is found with name {experiment_name}.")
        return found[0]

    def list_experiments(
        self,
        page_token: str = "",
        page_size: int = 10,
        sort_by: str = "",
        namespace: str | None = None,
        filter: str | None = None,
    ) -> wire.ExperimentList:
        """A page of experiments.

        Args:
            page_token: `next_page_token` of the page before. Default: the first page.
            page_size: How many there are on a page at most. Default: 10.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: as the server sorts them.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.
            filter: A filter in KFP's JSON form (predicates). Default: none.

        Returns:
            The experiments, and the token of the next page.
        """
        return self._list(_EXPERIMENTS, wire.ExperimentList, page_token, page_size, sort_by, filter)

    def archive_experiment(self, experiment_id: str) -> dict[str, Any]:
        """Archive an experiment and its runs.

        Args:
            experiment_id: The experiment's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_EXPERIMENT, experiment_id=experiment_id) + ":archive"))

    def unarchive_experiment(self, experiment_id: str) -> dict[str, Any]:
        """Bring an archived experiment back. Its runs stay archived.

        Args:
            experiment_id: The experiment's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_EXPERIMENT, experiment_id=experiment_id) + ":unarchive"))

    def delete_experiment(self, experiment_id: str) -> dict[str, Any]:
        """Delete an experiment. Its runs stay.

        Args:
            experiment_id: The experiment's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.delete(core.path(_EXPERIMENT, experiment_id=experiment_id)))

    # pipelines ---------------------------------------------------------------------------------
    def upload_pipeline(
        self,
        pipeline_package_path: str | Path,
        pipeline_name: str | None = None,
        description: str | None = None,
        namespace: str | None = None,
    ) -> wire.Pipeline:
        """Upload a file as a new pipeline, with a first version.

        Args:
            pipeline_package_path: A YAML file, or an archive that has one.
            pipeline_name: The pipeline's name. Default: the name in the document.
            description: What the pipeline does. Default: none.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.

        Returns:
            The pipeline.
        """
        content = Path(pipeline_package_path).read_bytes()
        name = pipeline_name or packages.pipeline_name(packages.read_package(pipeline_package_path))
        return self._upload_pipeline(Path(pipeline_package_path).name, content, name, description)

    def upload_pipeline_from_pipeline_func(
        self,
        pipeline_func: Any,
        pipeline_name: str | None = None,
        description: str | None = None,
        namespace: str | None = None,
    ) -> wire.Pipeline:
        """Compile a pipeline and upload it as a new pipeline, with a first version.

        Args:
            pipeline_func: A function decorated with `dsl.pipeline`.
            pipeline_name: The pipeline's name. Default: its own.
            description: What the pipeline does. Default: none.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.

        Returns:
            The pipeline.
        """
        content = packages.compile_pipeline(pipeline_func)
        return self._upload_pipeline("pipeline.yaml", content, pipeline_name or pipeline_func.name, description)

    def upload_pipeline_version(
        self,
        pipeline_package_path: str | Path,
        pipeline_version_name: str,
        pipeline_id: str | None = None,
        pipeline_name: str | None = None,
        description: str | None = None,
    ) -> wire.PipelineVersion:
        """Upload a file as a new version of a pipeline.

        Args:
            pipeline_package_path: A YAML file, or an archive that has one.
            pipeline_version_name: The version's name.
            pipeline_id: The pipeline's id. Default: None.
            pipeline_name: Its name, if no id is given. Default: None.
            description: What is new. Default: none.

        Returns:
            The version.

        Raises:
            ValueError: Neither id nor name was given, or both, or no pipeline has this name.
        """
        path = Path(pipeline_package_path)
        return self._upload_version(
            path.name, path.read_bytes(), pipeline_version_name, pipeline_id, pipeline_name, description
        )

    def upload_pipeline_version_from_pipeline_func(
        self,
        pipeline_func: Any,
        pipeline_version_name: str,
        pipeline_id: str | None = None,
        pipeline_name: str | None = None,
        description: str | None = None,
    ) -> wire.PipelineVersion:
        """Compile a pipeline and upload it as a new version of a pipeline.

        Args:
            pipeline_func: A function decorated with `dsl.pipeline`.
            pipeline_version_name: The version's name.
            pipeline_id: The pipeline's id. Default: None.
            pipeline_name: Its name, if no id is given. Default: None.
            description: What is new. Default: none.

        Returns:
            The version.

        Raises:
            ValueError: Neither id nor name was given, or both, or no pipeline has this name.
        """
        content = packages.compile_pipeline(pipeline_func)
        return self._upload_version(
            "pipeline.yaml", content, pipeline_version_name, pipeline_id, pipeline_name, description
        )

    def get_pipeline_id(self, name: str) -> str | None:
        """The id of the pipeline that has this name.

        Args:
            name: The pipeline's name.

        Returns:
            The id; None when no pipeline has this name.

        Raises:
            ValueError: Several pipelines have this name.
        """
        found = self.list_pipelines(filter=_named(name)).pipelines
        if len(found) > 1:
            raise ValueError(f"Multiple pipelines with the name: {name} found, the name needs to be unique.")
        return found[0].pipeline_id if found else None

    def get_pipeline(self, pipeline_id: str) -> wire.Pipeline:
        """A pipeline.

        Args:
            pipeline_id: The pipeline's id.

        Returns:
            The pipeline.
        """
        return self._ask(core.get(core.path(_PIPELINE, pipeline_id=pipeline_id)), wire.Pipeline)

    def list_pipelines(
        self,
        page_token: str = "",
        page_size: int = 10,
        sort_by: str = "",
        filter: str | None = None,
        namespace: str | None = None,
    ) -> wire.PipelineList:
        """A page of pipelines.

        Args:
            page_token: `next_page_token` of the page before. Default: the first page.
            page_size: How many there are on a page at most. Default: 10.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: as the server sorts them.
            filter: A filter in KFP's JSON form (predicates). Default: none.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.

        Returns:
            The pipelines, and the token of the next page.
        """
        return self._list(_PIPELINES, wire.PipelineList, page_token, page_size, sort_by, filter)

    def delete_pipeline(self, pipeline_id: str, *, cascade: bool = False) -> dict[str, Any]:
        """Delete a pipeline.

        Args:
            pipeline_id: The pipeline's id.
            cascade: Whether its versions are deleted too; without it, a pipeline with versions is refused. Default:
                False.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.delete(core.path(_PIPELINE, pipeline_id=pipeline_id), {"cascade": cascade or None}))

    def list_pipeline_versions(
        self,
        pipeline_id: str,
        page_token: str = "",
        page_size: int = 10,
        sort_by: str = "",
        filter: str | None = None,
    ) -> wire.PipelineVersionList:
        """A page of the versions of a pipeline.

        Args:
            pipeline_id: The pipeline's id.
            page_token: `next_page_token` of the page before. Default: the first page.
            page_size: How many there are on a page at most. Default: 10.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: as the server sorts them.
            filter: A filter in KFP's JSON form (predicates). Default: none.

        Returns:
            The versions, and the token of the next page.
        """
        where = core.path(_VERSIONS, pipeline_id=pipeline_id)
        return self._list(where, wire.PipelineVersionList, page_token, page_size, sort_by, filter)

    def get_pipeline_version(self, pipeline_id: str, pipeline_version_id: str) -> wire.PipelineVersion:
        """A version with its document.

        Args:
            pipeline_id: The pipeline's id.
            pipeline_version_id: The version's id.

        Returns:
            The version.
        """
        where = core.path(_VERSION, pipeline_id=pipeline_id, pipeline_version_id=pipeline_version_id)
        return self._ask(core.get(where), wire.PipelineVersion)

    def delete_pipeline_version(self, pipeline_id: str, pipeline_version_id: str) -> dict[str, Any]:
        """Delete a version of a pipeline.

        Args:
            pipeline_id: The pipeline's id.
            pipeline_version_id: The version's id.

        Returns:
            An empty dict, as KFP has it.
        """
        where = core.path(_VERSION, pipeline_id=pipeline_id, pipeline_version_id=pipeline_version_id)
        return self._do(core.delete(where))

    # runs --------------------------------------------------------------------------------------
    def run_pipeline(
        self,
        experiment_id: str,
        job_name: str,
        pipeline_package_path: str | Path | None = None,
        params: Mapping[str, Any] | None = None,
        pipeline_id: str | None = None,
        version_id: str | None = None,
        pipeline_root: str | None = None,
        enable_caching: bool | None = None,
        cache_key: str | None = None,
        service_account: str | None = None,
    ) -> wire.Run:
        """Start a run from a file, or from an uploaded pipeline.

        Args:
            experiment_id: The experiment of the run; an empty text means the default one.
            job_name: The run's name.
            pipeline_package_path: A YAML file, or an archive that has one. Default: None.
            params: Arguments of the pipeline by name. Default: its default values.
            pipeline_id: An uploaded pipeline, if no file is given. Default: None.
            version_id: One of its versions. Default: None: the latest one.
            pipeline_root: Where the run stores its artifacts, such as `s3://bucket/folder`. Default: as the
                pipeline says.
            enable_caching: Whether results of earlier runs are reused, for all tasks. Default: None: as each task
                says.
            cache_key: A text that replaces the fingerprint of every task. Default: none.
            service_account: The Kubernetes service account of the tasks. Default: none.

        Returns:
            The run.

        Raises:
            ValueError: Neither a file nor a pipeline was given, or both.
        """
        source = find_source(pipeline_package_path, pipeline_id, version_id, enable_caching, cache_key)
        return self._create_run(
            wire.Run(
                experiment_id=experiment_id or "",
                display_name=job_name,
                pipeline_spec=source.pipeline_spec,
                pipeline_version_reference=source.reference,
                runtime_config=wire.RuntimeConfig(parameters=dict(params or {}), pipeline_root=pipeline_root or ""),
                service_account=service_account or "",
            )
        )

    def create_run_from_pipeline_package(
        self,
        pipeline_file: str | Path,
        arguments: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        experiment_name: str | None = None,
        namespace: str | None = None,
        pipeline_root: str | None = None,
        enable_caching: bool | None = None,
        cache_key: str | None = None,
        service_account: str | None = None,
        experiment_id: str | None = None,
    ) -> RunPipelineResult:
        """Start a run from a file.

        Args:
            pipeline_file: A YAML file, or an archive that has one.
            arguments: Arguments of the pipeline by name. Default: its default values.
            run_name: The run's name. Default: the pipeline's name and the time.
            experiment_name: The experiment, which is created if it does not exist. Default: `Default`.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.
            pipeline_root: Where the run stores its artifacts, such as `s3://bucket/folder`. Default: as the
                pipeline says.
            enable_caching: Whether results of earlier runs are reused, for all tasks. Default: None: as each task
                says.
            cache_key: A text that replaces the fingerprint of every task. Default: none.
            service_account: The Kubernetes service account of the tasks. Default: none.
            experiment_id: The experiment's id, instead of its name. Default: None.

        Returns:
            The run, on which you can wait.

        Raises:
            ValueError: Both an id and a name of an experiment were given.
        """
        name = run_name or packages.default_run_name(packages.pipeline_name(packages.read_package(pipeline_file)))
        run = self.run_pipeline(
            experiment_id=self._experiment_for(experiment_id, experiment_name),
            job_name=name,
            pipeline_package_path=pipeline_file,
            params=arguments,
            pipeline_root=pipeline_root,
            enable_caching=enable_caching,
            cache_key=cache_key,
            service_account=service_account,
        )
        return RunPipelineResult(self, run)

    def create_run_from_pipeline_func(
        self,
        pipeline_func: Any,
        arguments: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        experiment_name: str | None = None,
        namespace: str | None = None,
        pipeline_root: str | None = None,
        enable_caching: bool | None = None,
        cache_key: str | None = None,
        service_account: str | None = None,
        experiment_id: str | None = None,
    ) -> RunPipelineResult:
        """Compile a pipeline and start a run of it.

        Args:
            pipeline_func: A function decorated with `dsl.pipeline`.
            arguments: Arguments of the pipeline by name. Default: its default values.
            run_name: The run's name. Default: the pipeline's name and the time.
            experiment_name: The experiment, which is created if it does not exist. Default: `Default`.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.
            pipeline_root: Where the run stores its artifacts, such as `s3://bucket/folder`. Default: as the
                pipeline says.
            enable_caching: Whether results of earlier runs are reused, for all tasks. Default: None: as each task
                says.
            cache_key: A text that replaces the fingerprint of every task. Default: none.
            service_account: The Kubernetes service account of the tasks. Default: none.
            experiment_id: The experiment's id, instead of its name. Default: None.

        Returns:
            The run, on which you can wait.

        Raises:
            ValueError: Both an id and a name of an experiment were given.
        """
        import tempfile

        content = packages.compile_pipeline(pipeline_func)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_bytes(content)
            return self.create_run_from_pipeline_package(
                path,
                arguments,
                run_name or packages.default_run_name(pipeline_func.name),
                experiment_name,
                namespace,
                pipeline_root,
                enable_caching,
                cache_key,
                service_account,
                experiment_id,
            )

    def get_run(self, run_id: str) -> wire.Run:
        """A run with the details of its tasks.

        Args:
            run_id: The run's id.

        Returns:
            The run.
        """
        return self._ask(core.get(core.path(_RUN, run_id=run_id)), wire.Run)

    def list_runs(
        self,
        page_token: str = "",
        page_size: int = 10,
        sort_by: str = "",
        experiment_id: str | None = None,
        namespace: str | None = None,
        filter: str | None = None,
    ) -> wire.RunList:
        """A page of runs.

        Args:
            page_token: `next_page_token` of the page before. Default: the first page.
            page_size: How many there are on a page at most. Default: 10.
            sort_by: A field and `asc` or `desc`, such as `created_at desc`. Default: as the server sorts them.
            experiment_id: Only runs of this experiment. Default: None: all.
            namespace: Accepted because KFP has it; this server has one namespace. Default: None.
            filter: A filter in KFP's JSON form (predicates). Default: none.

        Returns:
            The runs, and the token of the next page.
        """
        return self._list(_RUNS, wire.RunList, page_token, page_size, sort_by, filter, {"experiment_id": experiment_id})

    def wait_for_run_completion(
        self, run_id: str, timeout: float | timedelta | None = None, sleep_duration: float = 5
    ) -> wire.Run:
        """Wait until a run has ended, in whatever state.

        Args:
            run_id: The run's id.
            timeout: How long to wait, in seconds or as a `timedelta`. Default: None: without limit.
            sleep_duration: The longest time between two questions to the server, in seconds. Default: 5.

        Returns:
            The run.

        Raises:
            TimeoutError: The run has not ended by then.
        """
        limit_s = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        deadline = None if limit_s is None else time.monotonic() + limit_s
        pause_s = min(0.1, sleep_duration)
        while True:
            run = self.get_run(run_id)
            if run.state in _FINAL:
                return run
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"Run {run_id} is still {run.state} after {limit_s:g} s.")
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, sleep_duration)

    def terminate_run(self, run_id: str) -> dict[str, Any]:
        """Cancel a run: its tasks are stopped.

        Args:
            run_id: The run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_RUN, run_id=run_id) + ":terminate"))

    def retry_run(self, run_id: str) -> dict[str, Any]:
        """Run the failed parts of a finished run again, in the same run. `kfp.Client` has no such method.

        Args:
            run_id: The run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_RUN, run_id=run_id) + ":retry"))

    def archive_run(self, run_id: str) -> dict[str, Any]:
        """Archive a run. Nothing is deleted.

        Args:
            run_id: The run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_RUN, run_id=run_id) + ":archive"))

    def unarchive_run(self, run_id: str) -> dict[str, Any]:
        """Bring an archived run back.

        Args:
            run_id: The run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.post(core.path(_RUN, run_id=run_id) + ":unarchive"))

    def delete_run(self, run_id: str) -> dict[str, Any]:
        """Delete a run and what it made, apart from what other runs reuse.

        Args:
            run_id: The run's id.

        Returns:
            An empty dict, as KFP has it.
        """
        return self._do(core.delete(core.path(_RUN, run_id=run_id)))

    # ---------------------------------------------------------------------------------------------
    def _named_experiments(self, name: str) -> list[wire.Experiment]:
        return self.list_experiments(filter=_named(name)).experiments

    def _experiment_for(self, experiment_id: str | None, experiment_name: str | None) -> str:
        if experiment_id and experiment_name:
            raise ValueError("You cannot specify both experiment_name and experiment_id.")
        if experiment_id:
            return experiment_id
        name = experiment_name or os.environ.get("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME")
        name = os.environ.get("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", name)
        return self.create_experiment(name or "Default").experiment_id

    def _upload_pipeline(self, filename: str, content: bytes, name: str, description: str | None) -> wire.Pipeline:
        query = {"name": name, "description": description}
        made = self._ask(core.upload(f"{_PIPELINES}/upload", filename, content, query), wire.Pipeline)
        self._tell("Pipeline", f"pipelines/{made.pipeline_id}")
        return made

    def _upload_version(
        self,
        filename: str,
        content: bytes,
        name: str,
        pipeline_id: str | None,
        pipeline_name: str | None,
        description: str | None,
    ) -> wire.PipelineVersion:
        if bool(pipeline_id) == bool(pipeline_name):
            raise ValueError("Either pipeline_id or pipeline_name is required.")
        pipeline_id = pipeline_id or self.get_pipeline_id(pipeline_name or "")
        if pipeline_id is None:
            raise ValueError(f"There is no pipeline with the name {pipeline_name}.")
        query = {"name": name, "pipelineid": pipeline_id, "description": description}
        request = core.upload(f"{_PIPELINES}/upload_version", filename, content, query)
        return self._ask(request, wire.PipelineVersion)

    def _create_run(self, run: wire.Run) -> wire.Run:
        made = self._ask(core.post_once(_RUNS, run), wire.Run)
        self._tell("Run", f"runs/{made.run_id}")
        return made

    def _tell(self, noun: str, where: str) -> None:
        if self._verbose:
            print(f"{noun} details: {self._ui}/{where}")


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})


def _refuse(**given: str | None) -> None:
    named = [name for name, value in given.items() if value]
    if named:
        raise ValueError(
            f"Headrace's client does not know {', '.join(named)}: it speaks to the server directly. "
            "Give the server's address as host, and its token as existing_token."
        )
