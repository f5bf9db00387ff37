"""Control flow: the groups of tasks that `with dsl.If(...)`, `dsl.ParallelFor`, `dsl.ExitHandler` make."""

from __future__ import annotations

import enum
import warnings
from typing import TYPE_CHECKING, Any, Generic, overload

from headrace.dsl import pipeline_context
from headrace.dsl.conditions import ConditionExpression, Negated
from headrace.dsl.conditions import condition as as_condition
from headrace.dsl.errors import DslError, DslTypeError, DslValueError, user_location
from headrace.dsl.for_loop import Collected, item_of
from headrace.dsl.pipeline_channel import PipelineChannel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import TypeVar

    from headrace.dsl.pipeline_task import PipelineTask

    #: The type of a loop's items.
    Item = TypeVar("Item", default=Any)
else:
    from typing import TypeVar

    Item = TypeVar("Item")


class InvalidControlFlowException(DslError):
    """An Elif or Else with no If before it."""

    code = "CONTROL_FLOW_INVALID"


class TasksGroupType(enum.StrEnum):
    """Kinds of groups, by the first part of their names."""

    PIPELINE = "pipeline"
    CONDITION = "condition"
    CONDITION_BRANCHES = "condition-branches"
    FOR_LOOP = "for-loop"
    EXIT_HANDLER = "exit-handler"


class TasksGroup:
    """Tasks and groups that belong together; a sub-DAG of the document."""

    group_type = TasksGroupType.PIPELINE

    def __init__(self, name: str | None = None) -> None:
        self.display_name = name
        self.name = ""
        self.tasks: list[PipelineTask] = []
        self.groups: list[TasksGroup] = []
        self.parent_task_group: TasksGroup | None = None
        self.location = user_location()

    @property
    def is_root(self) -> bool:
        """Whether it is the pipeline itself, which is in no other group."""
        return self.group_type is TasksGroupType.PIPELINE

    @property
    def path(self) -> tuple[TasksGroup, ...]:
        """The groups around this one, from the outermost, with this one at the end."""
        above = self.parent_task_group.path if self.parent_task_group is not None else ()
        return (*above, self)

    def __enter__(self) -> Any:
        pipeline = pipeline_context.current(f"dsl.{type(self).__name__}")
        self.name = f"{self.group_type}-{pipeline.next_group_number()}"
        pipeline.push(self)
        return self

    def __exit__(self, *_: object) -> None:
        # An If/Elif chain without Else is still open here (as in KFP, what follows it on its level joins it).
        pipeline_context.current("the end of a group").close(self)


class ExitHandler(TasksGroup):
    """Tasks after which, however they end, one more task runs: the exit task.

    An exit task learns how the tasks ended from a parameter annotated with `dsl.PipelineTaskFinalStatus`. A pipeline
    may have several exit handlers, one after another, but only at its top level.

    Args:
        exit_task: The task that runs at the end. It cannot use outputs of other tasks.
        name: The name that the UI shows for the group. Default: `exit-handler-N`.

    Raises:
        DslValueError: The exit task depends on another task (`EXIT_TASK_DEPENDS`); or, at the `with` line, the exit
            handler is inside another group (`EXIT_HANDLER_NESTED`).
        DslRuntimeError: It is not inside a pipeline function (`OUTSIDE_PIPELINE`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def train():
        ...     print("training")
        >>> @dsl.component
        ... def notify(status: dsl.PipelineTaskFinalStatus):
        ...     print(status.state, status.error_message)
        >>> @dsl.pipeline
        ... def training():
        ...     with dsl.ExitHandler(notify()):
        ...         train()
    """

    group_type = TasksGroupType.EXIT_HANDLER

    def __init__(self, exit_task: PipelineTask, name: str | None = None) -> None:
        super().__init__(name)
        pipeline = pipeline_context.current("dsl.ExitHandler")
        if exit_task.depends_on_tasks():
            raise DslValueError(
                "exit_task cannot depend on any other tasks.",
                code="EXIT_TASK_DEPENDS",
                hint="give the exit task pipeline inputs and constants only; dsl.PipelineTaskFinalStatus tells it how "
                "the tasks ended.",
            )
        self.exit_task = exit_task
        exit_task.is_exit_handler = True
        pipeline.take_out(exit_task)

    def __enter__(self) -> Any:
        pipeline = pipeline_context.current("dsl.ExitHandler")
        while isinstance(pipeline.current_group, ConditionBranches):
            pipeline.pop()  # an If/Elif chain without Else, which ends here
        around = pipeline.current_group
        if not around.is_root:
            raise DslValueError(
                f"dsl.ExitHandler can only be used on the top level of a pipeline; this one is inside {around.name!r}.",
                code="EXIT_HANDLER_NESTED",
                hint="put it around the whole group, or make the inner part a pipeline of its own and call that here.",
            )
        return super().__enter__()


class ConditionBranches(TasksGroup):
    """The whole of an If/Elif/Else chain."""

    group_type = TasksGroupType.CONDITION_BRANCHES

    def __init__(self) -> None:
        super().__init__()
        self._oneofs = 0

    def next_oneof(self) -> int:
        self._oneofs += 1
        return self._oneofs


class _Branch(TasksGroup):
    """Tasks that run only where conditions hold; `refused` is what a following branch has to exclude."""

    group_type = TasksGroupType.CONDITION

    def __init__(
        self, conditions: tuple[ConditionExpression, ...], refused: tuple[ConditionExpression, ...], name: str | None
    ) -> None:
        super().__init__(name)
        self.conditions = conditions
        self.refused = refused


class If(_Branch):
    """Tasks that run only if a condition is true.

    Args:
        condition: A comparison of a pipeline value with a constant or another pipeline value (`==`, `!=`, `<`, `<=`,
            `>`, `>=`), a bool of the pipeline, or several of them joined with `&`, `|` and `~`. Only str, int, float
            and bool can be compared.
        name: The name that the UI shows for the group. Default: `condition-N`.

    Raises:
        DslError: It is not a condition, or is true or false already while the pipeline is defined.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def measure() -> float:
        ...     return 0.5
        >>> @dsl.component
        ... def publish():
        ...     print("published")
        >>> @dsl.component
        ... def retrain():
        ...     print("training again")
        >>> @dsl.pipeline
        ... def decide(force: bool = False):
        ...     accuracy = measure().output
        ...     with dsl.If((accuracy > 0.9) | (force == True)):
        ...         publish()
        ...     with dsl.Elif(accuracy > 0.5):
        ...         retrain()
        ...     with dsl.Else():
        ...         retrain()
    """

    def __init__(self, condition: Any, name: str | None = None) -> None:
        held = as_condition(condition)
        super().__init__((held,), (Negated(held),), name)


class Condition(If):
    """The old name of `dsl.If`; it warns when it is used.

    Args:
        condition: As in `dsl.If`.
        name: The name that the UI shows for the group. Default: `condition-N`.
    """

    def __enter__(self) -> Any:
        warnings.warn("dsl.Condition is deprecated. Use dsl.If instead.", DeprecationWarning, stacklevel=2)
        return super().__enter__()


class _Follower(_Branch):
    def __enter__(self) -> Any:
        _wrap_chain(pipeline_context.current(f"dsl.{type(self).__name__}"))
        return super().__enter__()


class Elif(_Follower):
    """Tasks that run only if a condition is true and no branch before it ran. It follows a `dsl.If` or `dsl.Elif`.

    Args:
        condition: As in `dsl.If`.
        name: The name that the UI shows for the group. Default: `condition-N`.

    Raises:
        InvalidControlFlowException: No `dsl.If` or `dsl.Elif` is directly before it.
        DslError: It is not a condition.
    """

    def __init__(self, condition: Any, name: str | None = None) -> None:
        before = _branch_before("dsl.Elif")
        held = as_condition(condition)
        super().__init__((*before.refused, held), (*before.refused, Negated(held)), name)


class Else(_Follower):
    """Tasks that run only if no branch before it ran. It follows a `dsl.If` or `dsl.Elif`.

    Args:
        name: The name that the UI shows for the group. Default: `condition-N`.

    Raises:
        InvalidControlFlowException: No `dsl.If` or `dsl.Elif` is directly before it.
    """

    def __init__(self, name: str | None = None) -> None:
        before = _branch_before("dsl.Else")
        super().__init__(before.refused, before.refused, name)

    def __exit__(self, *_: object) -> None:
        pipeline = pipeline_context.current("the end of dsl.Else")
        pipeline.pop()
        pipeline.pop()  # nothing can follow an Else, so the chain ends with it


def _branch_before(what: str) -> _Branch:
    before = pipeline_context.current(what).last_group()
    if isinstance(before, ConditionBranches) and what == "dsl.Else":
        raise InvalidControlFlowException(
            "Cannot use dsl.Else following another dsl.Else. "
            "dsl.Else can only be used following an upstream dsl.If or dsl.Elif.",
            hint="put the tasks of both into one dsl.Else block.",
        )
    if not isinstance(before, If | Elif):
        raise InvalidControlFlowException(
            f"{what} can only be used following an upstream dsl.If or dsl.Elif.",
            hint="begin with `with dsl.If(...):`, at the same level and in the same block.",
        )
    return before


def _wrap_chain(pipeline: pipeline_context.Pipeline) -> None:
    """Put the If before into a group of its own, whose number is the lower one of the two."""
    first = pipeline.last_group()
    if first is None or isinstance(first, Elif):
        return
    chain = ConditionBranches()
    chain.name = f"{chain.group_type}-{first.name.rsplit('-', 1)[1]}"
    first.name = f"{first.group_type}-{pipeline.next_group_number()}"
    pipeline.current_group.groups.pop()
    pipeline.push(chain)
    pipeline.push(first)
    pipeline.pop()


def branches_of(channels: tuple[PipelineChannel, ...]) -> ConditionBranches:
    """The If/Else chain whose branches these outputs come from."""
    group = getattr(channels[0].producer, "parent_task_group", None)
    chain = group.parent_task_group if group is not None else None
    if not isinstance(chain, ConditionBranches):
        raise DslValueError(
            "dsl.OneOf takes one output from each branch of a dsl.If / dsl.Else chain, of tasks that stand directly "
            "in the branches.",
            code="ONEOF_NOT_FROM_BRANCHES",
        )
    if not isinstance(chain.groups[-1], Else):
        raise DslValueError(
            "dsl.OneOf must include an output from a task in a dsl.Else group to ensure at least one output is "
            "available at runtime.",
            code="ONEOF_WITHOUT_ELSE",
            hint="add a `with dsl.Else():` block whose task gives the value for all other cases.",
        )
    return chain


class ParallelFor(TasksGroup, Generic[Item]):
    """Tasks that run once for each item of a list; iterations run at the same time.

    `with dsl.ParallelFor(items) as item:` gives the item as a channel. A member of a dict is `item.key` or
    `item["key"]`. Use `dsl.Collected` for the outputs of all iterations after the loop.

    Args:
        items: A list of constants (str, int, float, bool, list or dict), a list parameter of the pipeline, an output of
            a task that is a list, or a list of artifacts. A list of constants must not be empty.
        name: The name that the UI shows for the loop. Default: `for-loop-N`.
        parallelism: How many iterations may run at the same time. Default: None (or 0): all of them.

    Raises:
        DslValueError: `parallelism` is negative (`PARALLELISM_NEGATIVE`), or the list is empty (`LOOP_ITEMS_EMPTY`).
        DslTypeError: `items` is not something to loop over (`LOOP_ITEMS_INVALID`).
        DslRuntimeError: It is not inside a pipeline function (`OUTSIDE_PIPELINE`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def train(rate: float, depth: int):
        ...     print(rate, depth)
        >>> @dsl.pipeline
        ... def search(depths: list[int] = [3, 5]):
        ...     with dsl.ParallelFor([{"rate": 0.1}, {"rate": 0.01}], parallelism=2) as settings:
        ...         with dsl.ParallelFor(depths) as depth:
        ...             train(rate=settings.rate, depth=depth)
    """

    group_type = TasksGroupType.FOR_LOOP

    # Members of dict items can be attributes too (`item.key`), so such items have no type for a checker.
    @overload
    def __init__(
        self: ParallelFor[Any],
        items: Iterable[Mapping[str, Any]],
        name: str | None = None,
        parallelism: int | None = None,
    ) -> None: ...

    @overload
    def __init__(self, items: Iterable[Item], name: str | None = None, parallelism: int | None = None) -> None: ...

    def __init__(self, items: Any, name: str | None = None, parallelism: int | None = None) -> None:
        limit = parallelism or 0
        if limit < 0:
            raise DslValueError(
                f"ParallelFor parallelism must be >= 0. Got: {limit}.",
                code="PARALLELISM_NEGATIVE",
                hint="give the number of iterations to run at once, or leave it out for all.",
            )
        super().__init__(name)
        if isinstance(items, Collected) and items.is_artifact_channel is False and items.producer is None:
            raise DslTypeError("A loop cannot run over this.", code="LOOP_ITEMS_INVALID")
        pipeline = pipeline_context.current("dsl.ParallelFor")
        self.loop_argument = item_of(items, next_number=pipeline.next_group_number)
        self.loop_argument.loop = self
        self.items_is_pipeline_channel = isinstance(items, PipelineChannel)
        self.parallelism_limit = limit

    def __enter__(self) -> Item:
        super().__enter__()
        around = self.path[:-1]
        self._rename_item({group.loop_argument.full_name for group in around if isinstance(group, ParallelFor)})
        item: Any = self.loop_argument
        return item  # type: ignore[no-any-return]  # it stands for the value

    def _rename_item(self, taken: set[str]) -> None:
        """Give the item a name of its own when a loop around this one runs over the same list.

        KFP's SDK gives both items one name, so that the inner item hides the outer one.
        """
        base, number = self.loop_argument.name, 2
        while self.loop_argument.full_name in taken:
            self.loop_argument.name = f"{base}-{number}"
            number += 1
