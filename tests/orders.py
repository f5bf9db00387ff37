"""Launch orders in one word: a Python function's text, or a shell script, as KFP's documents start them."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from headrace.attempt.order import ContainerOrder, DeclaredOutputs, LaunchOrder
from headrace.engine.model import ArtifactType, AttemptId, Bundle

RUN_ID = "3b1c6c0e-2f0f-4b6f-8f4e-9a1d1f6f0a11"
#: What KFP's compiler writes before a function's own text.
HEAD = "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"
_RUN = (
    'program_path=$(mktemp -d)\n\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main                         --component_module_path"
    '                         "$program_path/ephemeral_component.py"                         "$@"\n'
)
_INSTALL = (
    '\nif ! [ -x "$(command -v pip)" ]; then\n'
    "    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\nfi\n\n"
    'PIP_DISABLE_PIP_VERSION_CHECK=1 {calls} && "$0" "$@"\n'
)
_PIP = "python3 -m pip install --quiet --no-warn-script-location "
_KFP = """'kfp==2.17.3' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<"3.9"'"""


def python_order(
    source: str, *, packages: tuple[str, ...] = (), image: str = "python:3.11", **changes: Any
) -> LaunchOrder:
    """An attempt of a lightweight component: the first function of `source`."""
    source = textwrap.dedent(source)
    function = re.search(r"^def (\w+)", source, re.MULTILINE)
    assert function is not None
    calls = _PIP + _KFP
    if packages:
        calls = _PIP + " ".join(repr(package) for package in packages) + "  &&  " + calls
    spec = ContainerOrder(
        image=image,
        command=("sh", "-c", _INSTALL.format(calls=calls), "sh", "-ec", _RUN, HEAD + source),
        args=("--executor_input", "{{$}}", "--function_to_execute", function[1]),
        env=changes.pop("env", {}),
        resources=changes.pop("resources", {}),
    )
    return an_order(spec, **changes)


def shell_order(script: str, *args: str, image: str, **changes: Any) -> LaunchOrder:
    """An attempt of a container component: `sh -c script args…`."""
    command = ("sh", "-c", script)
    return an_order(ContainerOrder(image=image, command=command, args=args, env=changes.pop("env", {})), **changes)


def an_order(
    spec: ContainerOrder,
    *,
    path: str = "task",
    number: int = 1,
    run_id: str = RUN_ID,
    parameters: dict[str, Any] | None = None,
    artifacts: dict[str, Any] | None = None,
    gives: dict[str, str] | None = None,
    makes: dict[str, str] | None = None,
    **changes: Any,
) -> LaunchOrder:
    """`gives` are output parameters with their types, `makes` output artifacts with their schema titles."""
    return LaunchOrder(
        attempt=AttemptId(run_id=run_id, path=path, number=number),
        task=path,
        component=f"comp-{path}",
        container=spec,
        inputs=Bundle(parameters=parameters or {}, artifacts=artifacts or {}),
        outputs=DeclaredOutputs(
            parameters=gives or {},
            artifacts={name: ArtifactType(schema_title=title) for name, title in (makes or {}).items()},
        ),
        **changes,
    )
