"""Every code that an attempt or its executor puts into a Reason, with what it means.

Its page in the docs is docs/reference/error-codes.md.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A stable name for why an attempt waits or how it ended."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Code:
        """Members are written `NAME = "NAME", "meaning"`."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # what an attempt waits for
    WAITING_FOR_SLOT = "WAITING_FOR_SLOT", "As many attempts as `max_parallel` allows are running; this one is queued."
    WAITING_FOR_CPU = (
        "WAITING_FOR_CPU",
        "It asks for more cores than are free; it begins when enough have been given back.",
    )
    WAITING_FOR_MEMORY = (
        "WAITING_FOR_MEMORY",
        "It asks for more memory than is free; it begins when enough has been given back.",
    )
    WAITING_FOR_ACCELERATOR = (
        "WAITING_FOR_ACCELERATOR",
        "It asks for more accelerators of its type than are free; it begins when enough have been given back.",
    )
    BUILDING_ENVIRONMENT = (
        "BUILDING_ENVIRONMENT",
        "The packages the component asks for are being installed, once for all who ask for the same.",
    )
    FETCHING_INPUTS = "FETCHING_INPUTS", "Input artifacts are being fetched from an object store."
    PULLING_IMAGE = "PULLING_IMAGE", "The container engine is fetching the image."
    WAITING_FOR_SYSTEM = (
        "WAITING_FOR_SYSTEM",
        "The machine has no more descriptors, processes, memory or disk space for the moment; it is tried again.",
    )
    STORING_OUTPUTS = (
        "STORING_OUTPUTS",
        "The component has ended well, and its outputs are being stored; the message says what hinders that.",
    )

    # what the user's code did
    USER_EXCEPTION = (
        "USER_EXCEPTION",
        "The component raised an exception; the details hold its type, text and last lines.",
    )
    MODULE_NOT_FOUND = "MODULE_NOT_FOUND", "The component imports a module that none of its packages provides."
    SOURCE_INVALID = "SOURCE_INVALID", "The component's source does not define the function it names."
    EXIT_CODE = "EXIT_CODE", "The component's process ended with an exit status other than 0."
    EXITED_EARLY = (
        "EXITED_EARLY",
        "The interpreter ended with status 0 before the component returned, for instance by os._exit.",
    )
    KILLED_BY_SIGNAL = "KILLED_BY_SIGNAL", "The component's process was ended by a signal that Headrace did not send."
    OUT_OF_MEMORY = (
        "OUT_OF_MEMORY",
        "The component used more memory than its limit, or than there was; the message names the limit.",
    )
    COMMAND_NOT_FOUND = "COMMAND_NOT_FOUND", "The command does not exist in the image, or cannot be executed."

    # limits
    TIMEOUT = "TIMEOUT", "The attempt ran longer than its timeout allows and was ended."
    LOG_LIMIT = "LOG_LIMIT", "The attempt wrote more log than `max_log_bytes` allows and was ended."
    PROCESS_LIMIT = (
        "PROCESS_LIMIT",
        "The attempt wanted more processes and threads at once than `max_processes` allows and was ended.",
    )
    DISK_LIMIT = (
        "DISK_LIMIT",
        "The attempt's directory grew beyond `max_work_bytes` or `max_work_files`, and it was ended.",
    )
    DISK_FULL = "DISK_FULL", "The disk that the attempt wrote to was full, or nearly (`min_free_bytes`)."
    DOES_NOT_FIT = (
        "DOES_NOT_FIT",
        "The task asks for more cores, memory or accelerators than this machine has for attempts.",
    )
    PARAMETER_TOO_LARGE = (
        "PARAMETER_TOO_LARGE",
        "An output parameter is larger than `max_parameter_bytes`; hand it on as an artifact.",
    )

    WORKSPACE_FULL = (
        "WORKSPACE_FULL",
        "The run's workspace holds more than the pipeline's `WorkspaceConfig(size=…)` allows.",
    )

    # inputs and outputs
    INPUT_MISSING = "INPUT_MISSING", "An input has no value, and the component no default for it."
    OUTPUT_MISSING = "OUTPUT_MISSING", "The component ended well but did not give one of its output parameters."
    OUTPUT_INVALID = (
        "OUTPUT_INVALID",
        "An output does not have the type that the component declares, or JSON cannot say it.",
    )
    ARTIFACT_INVALID = (
        "ARTIFACT_INVALID",
        "An output artifact is neither a file nor a directory of files, or lies outside the attempt.",
    )
    ARTIFACT_LOST = "ARTIFACT_LOST", "The content of an input artifact is gone from its store."
    ARTIFACT_CORRUPT = "ARTIFACT_CORRUPT", "The content of an input artifact is not what was recorded when it was made."
    ARTIFACT_ELSEWHERE = (
        "ARTIFACT_ELSEWHERE",
        "The component asks for the path of an artifact whose content is not on this machine and is not fetched.",
    )
    INPUT_ALTERED = (
        "INPUT_ALTERED",
        "The task changed the content of one of its input artifacts, which others read too.",
    )

    # code, environments, images, engines
    CODE_ARCHIVE_INVALID = (
        "CODE_ARCHIVE_INVALID",
        "The archive of the user's own modules that came with the component is damaged or too large.",
    )
    PACKAGE_NOT_FOUND = (
        "PACKAGE_NOT_FOUND",
        "A package the component asks for, or that version of it, does not exist in the index.",
    )
    PACKAGE_INSTALL_FAILED = (
        "PACKAGE_INSTALL_FAILED",
        "The component's packages could not be installed; the details hold uv's last lines.",
    )
    UV_MISSING = "UV_MISSING", "The program `uv`, which installs packages, is not there; install `headrace[server]`."
    CONTAINER_ENGINE_MISSING = (
        "CONTAINER_ENGINE_MISSING",
        "The task needs a container, and neither podman nor docker is installed.",
    )
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND", "The container engine has no such image and could not fetch it."
    CONTAINER_FAILED = (
        "CONTAINER_FAILED",
        "The container engine could not start the container; the message is the engine's.",
    )

    # object stores
    OBJECT_STORE_NOT_CONFIGURED = (
        "OBJECT_STORE_NOT_CONFIGURED",
        "This server has no settings for the artifact's object store.",
    )
    OBJECT_STORE_REFUSED = (
        "OBJECT_STORE_REFUSED",
        "The object store refuses the server's credentials, or has no such bucket.",
    )
    OBJECT_STORE_UNAVAILABLE = (
        "OBJECT_STORE_UNAVAILABLE",
        "The object store did not answer for as long as the server tried; the attempt counts as lost, not as failed.",
    )

    # ourselves
    LAUNCH_FAILED = (
        "LAUNCH_FAILED",
        "Headrace could not start the attempt: no disk space, no permission, too many processes.",
    )
    ATTEMPT_LOST = (
        "ATTEMPT_LOST",
        "The attempt's processes are gone and left no word of how they ended, as after a restart of the machine.",
    )
    EXECUTOR_MISSING = (
        "EXECUTOR_MISSING",
        "The task names an executor that this server does not have.",
    )
    RESULT_INVALID = (
        "RESULT_INVALID",
        "What an attempt left as its result cannot be read, or was written in another format by another release.",
    )
    ORDER_INVALID = "ORDER_INVALID", "The task's document asks for what this executor cannot do."
