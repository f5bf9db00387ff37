"""The first lines of a component's source, and whether they need to be run.

KFP's compiler begins every source with four imports, of which the two with a star load more than Python itself does.
They are left out where it makes no difference: where nothing in the rest of the source is, or could come to be, one of
the names that they would give.
"""

from __future__ import annotations

from headrace.runtime.names import has_real_kfp

_TYPING = "from typing import *"
_KFP = ("import kfp", "from kfp import dsl", "from kfp.dsl import *")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: Names of `from kfp.dsl import *`, and of the other imports. The shim's names: a real `kfp` is always loaded.
KFP_NAMES = _words("""
    kfp dsl headrace Artifact ClassificationMetrics Dataset HTML Markdown Metrics Model
    SlicedClassificationMetrics get_uri EmbeddedInput Input InputPath Output OutputPath run_notebook
    PipelineTaskFinalStatus TaskConfig WORKSPACE_MOUNT_PATH PIPELINE_JOB_NAME_PLACEHOLDER
    PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER PIPELINE_JOB_ID_PLACEHOLDER PIPELINE_TASK_NAME_PLACEHOLDER
    PIPELINE_TASK_ID_PLACEHOLDER PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER
    PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER PIPELINE_ROOT_PLACEHOLDER PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER
    PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER WORKSPACE_PATH_PLACEHOLDER
""")
#: Names of `from typing import *`, in any Python from 3.9 on.
TYPING_NAMES = _words("""
    AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable AsyncIterator Awaitable
    BinaryIO ByteString Callable ChainMap ClassVar Collection Concatenate Container ContextManager Coroutine
    Counter DefaultDict Deque Dict Final ForwardRef FrozenSet Generator Generic Hashable IO ItemsView Iterable
    Iterator KeysView List Literal LiteralString Mapping MappingView Match MutableMapping MutableSequence
    MutableSet NamedTuple Never NewType NoDefault NoReturn NotRequired Optional OrderedDict ParamSpec
    ParamSpecArgs ParamSpecKwargs Pattern Protocol ReadOnly Required Reversible Self Sequence Set Sized
    SupportsAbs SupportsBytes SupportsComplex SupportsFloat SupportsIndex SupportsInt SupportsRound
    TYPE_CHECKING Text TextIO Tuple Type TypeAlias TypeAliasType TypeGuard TypeIs TypeVar TypeVarTuple TypedDict
    Union Unpack ValuesView assert_never assert_type cast clear_overloads dataclass_transform
    evaluate_forward_ref final get_args get_origin get_overloads get_protocol_members get_type_hints is_protocol
    is_typeddict no_type_check no_type_check_decorator overload override reveal_type runtime_checkable
""")
#: A source with one of these may use names that it does not contain as words.
_ANY_NAME = _words("""
    eval exec globals locals vars dir modules __dict__ __main__ __import__ _getframe f_globals import_module
    inspect ephemeral_component __HEADRACE_CODE_PLACE
""")


def without_idle_imports(text: str) -> str:
    """The source, without those of KFP's four imports whose names it does not use. Lines keep their numbers."""
    head, body = _parted(text)
    if not head or _has_word(body, _ANY_NAME):
        return text
    idle: list[str] = []
    if not _has_word(body, TYPING_NAMES):
        idle.append(_TYPING)
    if not _has_word(body, KFP_NAMES) and not has_real_kfp():
        idle.extend(_KFP)
    return "\n".join([*("" if line in idle else line for line in head), body])


def _parted(text: str) -> tuple[list[str], str]:
    """The lines up to the last of the four imports, and the rest."""
    head: list[str] = []
    lines = text.split("\n", 8)
    while lines and (not lines[0] or lines[0] in _KFP or lines[0] == _TYPING):
        head.append(lines.pop(0))
    return head, "\n".join(lines)


def _has_word(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words is there as a whole word (`re` takes long to load)."""
    return any(_is_there(text, word) for word in words if word in text)


def _is_there(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        around = text[at - 1 : at] + "." + text[at + len(word) : at + len(word) + 1]
        if not any(part.isidentifier() or part.isdigit() for part in around.split(".")):
            return True
        at = text.find(word, at + 1)
    return False
