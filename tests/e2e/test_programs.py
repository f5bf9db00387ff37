"""The programs of `tests/differential`, compiled by kfp itself, are run on real processes: what can succeed here does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from differential.compiled import PRELUDE, compiled_by_kfp
from differential.programs import PROGRAMS
from harness import end_attempts
from headrace.engine.model import State
from headrace.service.errors import ServiceError
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.spec.bootstrap import recognise
from headrace.spec.reading import DocumentError, read_pipeline
from owned_service import Service

pytestmark = [pytest.mark.slow, pytest.mark.kfp, pytest.mark.anyio]
_VALUES = {
    "STRING": "x", "NUMBER_INTEGER": 3, "NUMBER_DOUBLE": 0.5, "BOOLEAN": True, "LIST": [1, 2], "STRUCT": {"a": 1},
}  # fmt: skip
#: Arguments for programs whose lists hold something else than numbers.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "control_flow: loop over dicts from a parameter": {"things": [{"a": 1, "b": 2}]},
    "control_flow: nested loops over a parameter": {"things": [["a"], ["b", "c"]]},
    "control_flow: nested loops over members": {"things": [{"a": [{"x": "one"}]}]},
    "control_flow: nested loops over typed lists": {"things": [[1], [2, 3]]},
    "control_flow: if on a member of a parameter item": {"things": [{"a": 1}, {"a": 2}]},
}
#: What cannot succeed, by the code that says so, and how many programs it is.
_CANNOT = {
    # Artifacts as arguments, which KFP's API cannot give either.
    "INVALID_ARGUMENTS": 8,
    # kfp writes texts with line breaks and NULs into the comment at the head, and then no YAML parser reads it.
    "NOT_YAML": 3,
    # Modules that only the program's author has.
    "MODULE_NOT_FOUND": 2,
    # A component with an embedded artifact, compiled by itself without one.
    "INPUT_MISSING": 1,
    # Limits of memory of a few bytes.
    "OUT_OF_MEMORY": 2,
}


@pytest.fixture
async def service(home: Path) -> AsyncIterator[Service]:
    """A service over this machine's own executor."""
    # A machine that has all that programs ask for: they are about documents, not about this machine.
    cards = dict.fromkeys(("nvidia.com/gpu", "TPU_V3", "gpu", "x"), ("0", "1", "2", "3"))
    one = await Service.open(Settings(home=home, max_parallel=2, caching=False, machine_cpus=64.0, accelerators=cards))
    yield one
    await one.close()
    end_attempts(home)


async def test_programs_compiled_by_kfp_run_to_success(service: Service, tmp_path: Path) -> None:
    runs: dict[str, str] = {}
    codes: dict[str, str] = {}
    for name in sorted(PROGRAMS):
        try:
            run_id = await submitted(service, name, tmp_path)
            if run_id is not None:
                runs[name] = run_id
        except (DocumentError, ServiceError) as error:
            codes[name] = error.code
    wrong = {}
    for name, run_id in runs.items():
        async for _ in service.watch_run(run_id):
            pass
        record = await service.get_run(run_id)
        if record.state is not State.SUCCEEDED:
            assert record.error is not None, name
            codes[name] = record.error.code
            wrong[name] = record.error.message
    counted = {code: list(codes.values()).count(code) for code in codes.values()}
    unexpected = {name: (code, wrong.get(name)) for name, code in codes.items() if code not in _CANNOT}
    assert unexpected == {}
    assert counted == _CANNOT
    assert len(runs) - len(wrong) > 180


async def submitted(service: Service, name: str, folder: Path) -> str | None:
    """The id of the program's run; None for one that needs images or packages, which are mere names in these."""
    spec, platform = read_pipeline(compiled_by_kfp(PRELUDE + PROGRAMS[name], folder))
    if not all(map(_needs_nothing, spec["deploymentSpec"].get("executors", {}).values())):
        return None
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    required = {n: d for n, d in declared.items() if not d.get("isOptional") and "defaultValue" not in d}
    values = {n: _VALUES[d["parameterType"]] for n, d in required.items()} | _ARGUMENTS.get(name, {})
    made = await service.create_run(
        NewRun(display_name=name, pipeline_spec=spec, platform_spec=platform, parameters=values)
    )
    return made.run_id


def _needs_nothing(executor: dict[str, Any]) -> bool:
    container = executor.get("container")
    if container is None:
        return True
    entry = recognise(tuple(container.get("command", ())), tuple(container.get("args", ())))
    return entry is not None and not entry.requirements
