"""Documents at the door: what is stored can be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from headrace.engine import Plan, plan
from headrace.engine.model import Json
from headrace.service.errors import Invalid
from headrace.spec.document import SpecError, parse_document
from headrace.spec.verify import errors, verify_document


def check_document(pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None) -> Plan:
    """The document's plan. Raises Invalid; `findings` in its details says what is wrong where."""
    try:
        document = parse_document(pipeline_spec, platform_spec)
        found = errors(verify_document(document))
        if found:
            raise _refused([msgspec.to_builtins(finding) for finding in found])
        return plan(document)
    except SpecError as error:
        raise _refused([{"code": error.code, "path": error.path, "message": error.message}]) from error
    except RecursionError as error:
        message = "is nested too deep."
        raise _refused([{"code": "SPEC_TOO_DEEP", "path": "", "message": message}]) from error


def _refused(findings: Sequence[dict[str, Any]]) -> Invalid:
    lines = [f"{one['path']}: {one['message']}" if one["path"] else str(one["message"]) for one in findings]
    text = lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines[:20])
    return Invalid(f"The pipeline document is not right: {text}", code="SPEC_INVALID", findings=list(findings))
