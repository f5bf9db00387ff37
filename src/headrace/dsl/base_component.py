"""Components: decorators and loaders return them; calling one in a pipeline makes a task."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from headrace.dsl import hooks, kfp_components
from headrace.dsl.constants import WORKSPACE_MOUNT_PATH, WORKSPACE_PATH_PLACEHOLDER
from headrace.dsl.errors import DslError, DslTypeError, DslValueError, function_location, is_installed
from headrace.dsl.image_recipe import ImageRecipe
from headrace.dsl.pipeline_channel import PipelineChannel, create_pipeline_channel
from headrace.dsl.pipeline_config import PipelineConfig
from headrace.dsl.pipeline_context import Pipeline
from headrace.dsl.pipeline_task import Answer, Parameters, PipelineTask
from headrace.dsl.structures import IR, ComponentSpec, ContainerImplementation, GraphImplementation

if TYPE_CHECKING:
    from headrace.dsl.as_values import AnyValue


class BaseComponent:
    """Base of all components. Called inside a pipeline, a component makes a task; called outside, it runs at once.

    Components are made by decorators (`dsl.component`, `dsl.pipeline`, ...) and by `headrace.components`; a call takes
    keyword arguments only.

    Args:
        component_spec: The component's name, inputs, outputs and implementation.
    """

    def __init__(self, component_spec: ComponentSpec) -> None:
        self.component_spec = component_spec
        self.name = component_spec.name
        self.description = component_spec.description or None
        #: Whether the verifier has checked its documents and found no fault.
        self.checked = False

    def __call__(self, /, *args: Any, **kwargs: Any) -> PipelineTask[Any]:
        if args:
            raise DslTypeError(
                "Components must be instantiated using keyword arguments. Positional parameters are not allowed "
                f'(found {len(args)} such parameters for component "{self.name}").',
                code="POSITIONAL_ARGUMENT",
                hint=self._keyword_hint(len(args)),
            )
        self._check_names(kwargs)
        if Pipeline.get_default_pipeline() is None:
            task: PipelineTask = hooks.run_locally(self, kwargs)
            return task
        return PipelineTask(self.component_spec, kwargs)

    def _keyword_hint(self, count: int) -> str:
        names = [name for name, spec in self.component_spec.inputs.items() if not spec.is_final_status][:count]
        return f"write {self.name.replace('-', '_')}({', '.join(f'{name}=...' for name in names)})."

    def _check_names(self, given: dict[str, Any]) -> None:
        known = [name for name, spec in self.component_spec.inputs.items() if not spec.is_final_status]
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                raise DslTypeError(
                    f'{self.name}() got an unexpected keyword argument "{name}".',
                    code="UNKNOWN_ARGUMENT",
                    hint=f"did you mean {close[0]!r}?" if close else f"it takes: {', '.join(known) or 'nothing'}.",
                )
        missing = [name for name in self.required_inputs if name not in given]
        if missing:
            raise DslTypeError(
                f"{self.name}() missing {len(missing)} required argument{'s' if len(missing) > 1 else ''}: "
                f"{', '.join(name.replace('-', '_') for name in missing)}.",
                code="MISSING_ARGUMENT",
                hint="give each of them a value, or a default in the component.",
            )

    @property
    def required_inputs(self) -> list[str]:
        """Names of the inputs that every call must give a value: they are not optional."""
        return [name for name, spec in self.component_spec.inputs.items() if not spec.optional]

    def documents(self) -> tuple[IR, IR]:
        """The compiled component: `(pipeline spec, platform spec)`, as dicts with the keys of the YAML file.

        Do not change the dicts: they are kept and returned again.

        Raises:
            DslError: The component cannot be compiled.
        """
        return self._documents

    @functools.cached_property
    def _documents(self) -> tuple[IR, IR]:
        found: tuple[IR, IR] = hooks.lower_component(self)
        return found

    @property
    def pipeline_spec(self) -> Any:
        """The pipeline spec as KFP's protobuf message. Needs the package `kfp-pipeline-spec`."""
        return hooks.message("PipelineSpec", self.documents()[0])

    @property
    def platform_spec(self) -> Any:
        """The platform spec as KFP's protobuf message. Needs the package `kfp-pipeline-spec`."""
        return hooks.message("PlatformSpec", self.documents()[1])

    def execute(self, **kwargs: Any) -> Any:
        """Call the component's Python function itself, without a task around it.

        Args:
            **kwargs: The function's arguments, exactly as it declares them.

        Raises:
            NotImplementedError: The component has no Python function.
        """
        raise NotImplementedError(f"{type(self).__name__} has no Python function.")

    def _refuse_artifact_list_outputs(self) -> None:
        for name, spec in self.component_spec.outputs.items():
            if spec.is_artifact_list:
                raise DslValueError(
                    "Output lists of artifacts are only supported for pipelines. Got output list of artifacts for "
                    f"output parameter {name!r} of component {self.name!r}.",
                    code="ARTIFACT_LIST_OUTPUT",
                    hint="write one artifact (a folder can hold many files), or gather a loop's with dsl.Collected.",
                    location=self.component_spec.location,
                )


#: (source in the document, name) -> the function in this process. An inline run calls the function itself, so that a
#: debugger stops in the user's file.
FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {}


class PythonComponent(BaseComponent, Generic[Answer]):
    """A Python function as a component. `dsl.component` makes it.

    Args:
        component_spec: The component's name, inputs, outputs and implementation.
        python_func: The function. Its source is in the document, or the function is in the image.
    """

    if TYPE_CHECKING:
        # Not the function's own parameters: callers leave out those that are outputs, which a checker cannot know.
        def __call__(self, **kwargs: Any) -> PipelineTask[Answer]: ...

    def __init__(self, component_spec: ComponentSpec, python_func: Callable[..., Answer]) -> None:
        super().__init__(component_spec)
        self.python_func = python_func
        #: For `headrace component build`; None if no image can be built.
        self.recipe: ImageRecipe | None = None
        self._refuse_artifact_list_outputs()
        implementation = component_spec.implementation
        if isinstance(implementation, ContainerImplementation) and implementation.command:
            FUNCTIONS[str(implementation.command[-1]), python_func.__name__] = python_func

    def test(self, **arguments: Any) -> Any:
        """Call the function in this process with real inputs and outputs, for a unit test.

        No environment is made and no process is started: packages come from this process. The same as
        `headrace.local.try_component(component, ...)`.

        Args:
            **arguments: The component's inputs by name. For an artifact, give a `dsl.Artifact`, the path of a file or
                folder, or a dict of metadata. `folder=` (a `pathlib.Path`) says where outputs are written; without it a
                temporary folder is made.

        Returns:
            A `headrace.local.ComponentResult`, with `.output` and `.outputs`.

        Example:
            >>> from headrace import dsl
            >>> @dsl.component
            ... def add(a: int, b: int = 1) -> int:
            ...     return a + b
            >>> add.test(a=2).output
            3
        """
        return hooks.try_component(self, arguments)

    def execute(self, **kwargs: Any) -> Any:
        """Call the Python function itself, without a task around it.

        Args:
            **kwargs: The function's arguments, exactly as it declares them.

        Returns:
            What the function returns.
        """
        return self.python_func(**kwargs)


class ContainerComponent(BaseComponent):
    """A command in an image as a component. `dsl.container_component` makes it.

    Args:
        component_spec: The component's name, inputs, outputs and implementation.
        pipeline_func: The function that returned the `dsl.ContainerSpec`.
    """

    if TYPE_CHECKING:

        def __call__(self, **kwargs: Any) -> PipelineTask[AnyValue]: ...

    def __init__(self, component_spec: ComponentSpec, pipeline_func: Callable[..., Any]) -> None:
        super().__init__(component_spec)
        self.pipeline_func = pipeline_func
        self._refuse_artifact_list_outputs()


class ImporterComponent(BaseComponent):
    """An artifact that exists already, as a component. `dsl.importer` makes it and its task.

    Args:
        component_spec: The component's name, inputs, outputs and implementation.
    """


class YamlComponent(BaseComponent):
    """A component that was read from a document. `headrace.components` makes it.

    Args:
        component_spec: The component's name, inputs, outputs and implementation.
        component_yaml: The text it was read from. Default: an empty text.
        pipeline_spec: The compiled component, if there is one. Default: it is compiled from `component_spec`.
        platform_spec: The platform settings that belong to `pipeline_spec`. Default: none.
    """

    if TYPE_CHECKING:

        def __call__(self, **kwargs: Any) -> PipelineTask[AnyValue]: ...

    def __init__(
        self,
        component_spec: ComponentSpec,
        component_yaml: str = "",
        pipeline_spec: IR | None = None,
        platform_spec: IR | None = None,
    ) -> None:
        super().__init__(component_spec)
        self.component_yaml = component_yaml
        self._ir = None if pipeline_spec is None else (pipeline_spec, platform_spec or {})

    @classmethod
    def from_ir(
        cls,
        pipeline_spec: IR,
        platform_spec: IR | None = None,
        component_yaml: str = "",
        description: str | None = None,
    ) -> YamlComponent:
        """Make a component of a compiled document.

        Args:
            pipeline_spec: The pipeline spec, as a dict with the keys of the YAML file.
            platform_spec: The platform spec. Default: none.
            component_yaml: The text the document was read from. Default: an empty text.
            description: What the component does. Default: none.

        Returns:
            The component.
        """
        spec = ComponentSpec.from_ir(pipeline_spec, platform_spec, description)
        return cls(spec, component_yaml, pipeline_spec, platform_spec)

    def documents(self) -> tuple[IR, IR]:
        """The document it was read from: `(pipeline spec, platform spec)`."""
        return self._ir if self._ir is not None else self._documents


class GraphComponent(BaseComponent, Generic[Parameters, Answer]):
    """A pipeline. `dsl.pipeline` makes it; called inside another pipeline it is a nested pipeline.

    The function runs once, when the pipeline is defined, with channels as arguments.

    Args:
        component_spec: The pipeline's name, inputs and outputs.
        pipeline_func: The function.
        display_name: The name that the UI shows. Default: the pipeline's name.
        pipeline_config: Settings of the pipeline's runs. Default: none.

    Raises:
        DslValueError: The function calls no component (`PIPELINE_EMPTY`), or uses a workspace that `pipeline_config`
            does not declare (`WORKSPACE_MISSING`).
        DslError: The pipeline cannot be compiled; the message has the file and the line.
    """

    if TYPE_CHECKING:

        def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> PipelineTask[Answer]: ...

    else:

        def __call__(self, /, *args: Any, **kwargs: Any) -> PipelineTask:
            self._check_refusal()
            return super().__call__(*args, **kwargs)

    def _check_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def __init__(
        self,
        component_spec: ComponentSpec,
        pipeline_func: Callable[Parameters, Answer],
        display_name: str | None = None,
        pipeline_config: PipelineConfig | None = None,
    ) -> None:
        super().__init__(component_spec)
        self.pipeline_func = pipeline_func
        self.pipeline_config = pipeline_config
        arguments = [_pipeline_input(component_spec, name) for name in inspect.signature(pipeline_func).parameters]
        #: Why the pipeline of an installed package cannot be compiled: it may never be used, so it is raised then.
        self._refusal: DslError | None = None
        try:
            self._trace(arguments, display_name)
        except DslError as error:
            if not is_installed(function_location(pipeline_func)):
                raise
            self._refusal = error

    def _trace(self, arguments: list[PipelineChannel], display_name: str | None) -> None:
        """Call the function with channels in place of what it declares, and compile what it did."""
        trace: Callable[..., Any] = self.pipeline_func
        component_spec, pipeline_config = self.component_spec, self.pipeline_config
        with Pipeline(component_spec.name) as traced, kfp_components.usable():
            traced.inputs.update(arguments)
            outputs = trace(*arguments)
        if not traced.tasks:
            raise DslValueError(
                "Task is missing from pipeline.",
                code="PIPELINE_EMPTY",
                hint="call at least one component in the function.",
                location=function_location(self.pipeline_func),
            )
        self._check_workspace(traced)
        pipeline_spec, platform_spec = hooks.lower(traced, component_spec, outputs, pipeline_config)
        self._complete(pipeline_spec, display_name)
        component_spec.implementation = GraphImplementation(pipeline_spec, platform_spec)

    def _complete(self, pipeline_spec: IR, display_name: str | None) -> None:
        root = getattr(self.pipeline_func, "pipeline_root", None)
        if root:
            pipeline_spec["defaultPipelineRoot"] = root
        if display_name:
            pipeline_spec["pipelineInfo"]["displayName"] = display_name
        if self.component_spec.description:
            pipeline_spec["pipelineInfo"]["description"] = self.component_spec.description

    def documents(self) -> tuple[IR, IR]:
        """The compiled pipeline: `(pipeline spec, platform spec)`."""
        self._check_refusal()
        graph = self.component_spec.implementation
        assert isinstance(graph, GraphImplementation)
        return graph.pipeline_spec, graph.platform_spec

    def execute(self, **kwargs: Any) -> Any:
        """Refused: a pipeline is not one function. Call the pipeline to run it.

        Args:
            **kwargs: Not used.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("A pipeline is not one Python function; call it to run it.")

    def _check_workspace(self, traced: Pipeline) -> None:
        if self.pipeline_config is not None and self.pipeline_config.workspace is not None:
            return
        for task in traced.tasks.values():
            for value in task.inputs.values():
                if isinstance(value, str) and (
                    WORKSPACE_PATH_PLACEHOLDER in value or value.startswith(WORKSPACE_MOUNT_PATH)
                ):
                    raise DslValueError(
                        f"Workspace features are used (e.g., dsl.WORKSPACE_PATH_PLACEHOLDER) by task {task.name!r} but "
                        "PipelineConfig.workspace.size is not set.",
                        code="WORKSPACE_MISSING",
                        hint="@dsl.pipeline(pipeline_config=dsl.PipelineConfig("
                        "workspace=dsl.WorkspaceConfig(size='10Gi'))).",
                        location=task.location,
                    )


def _pipeline_input(spec: ComponentSpec, name: str) -> PipelineChannel:
    return create_pipeline_channel(name=name, type=spec.inputs[name].type)
