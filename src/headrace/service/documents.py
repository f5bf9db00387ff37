"""Pipeline documents as they arrive: read, verified and planned, or refused with everything that is wrong with them.

One rule for every way in (an upload, a run, a rerun): the error's code is that of its first finding, its sentence names
the first few, and `findings` in its details holds them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from headrace.engine import Plan, plan
from headrace.engine.model import Json
from headrace.service.errors import Invalid
from headrace.service.requests import GivenDocument
from headrace.spec.document import SpecError, parse_document
from headrace.spec.reading import DocumentError, read_pipeline, read_upload
from headrace.spec.verify import Finding, errors, verify_document
from headrace.store.documents import EncodedDocument, encode_document

#: `(pipeline_spec, platform_spec)` as plain JSON objects.
Specs: TypeAlias = tuple[dict[str, Json], dict[str, Json] | None]

#: How many findings the sentence of an error names.
_NAMED = 5


class ReadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that could be read; whether it can run is not known yet."""

    pipeline_spec: dict[str, Json]
    platform_spec: dict[str, Json] | None
    encoded: EncodedDocument


def read_document(given: GivenDocument) -> ReadDocument:
    """The document's objects, whatever form it came in, and its text and digest. Blocks. Raises Invalid."""
    try:
        pipeline_spec, platform_spec = _specs(given)
        return ReadDocument(
            pipeline_spec=pipeline_spec,
            platform_spec=platform_spec,
            encoded=encode_document(pipeline_spec, platform_spec),
        )
    except DocumentError as error:
        raise Invalid(str(error), code=error.code, line=error.line, column=error.column) from error
    except RecursionError as error:
        raise _refused([_TOO_DEEP]) from error


def _specs(given: GivenDocument) -> Specs:
    if given.document is None:
        return given.pipeline_spec or {}, given.platform_spec
    if isinstance(given.document, str):
        return read_pipeline(given.document)
    file = read_upload(given.document)
    return file.pipeline_spec, file.platform_spec


def plan_new(specs: Specs) -> Plan:
    """The plan of a document that is not verified yet. Blocks. Raises Invalid."""
    return _planned(specs, verified=False)


def plan_stored(specs: Specs) -> Plan:
    """The plan of a document that was verified before it was stored. Blocks. Raises Invalid."""
    return _planned(specs, verified=True)


def _planned(specs: Specs, *, verified: bool) -> Plan:
    try:
        document = parse_document(*specs)
        found = [] if verified else errors(verify_document(document))
        if found:
            raise _refused(found)
        return plan(document)
    except SpecError as error:
        raise _refused([Finding(code=error.code, path=error.path, message=error.message)]) from error
    except RecursionError as error:
        raise _refused([_TOO_DEEP]) from error


_TOO_DEEP = Finding(code="TOO_DEEP", path="", message="The document is nested too deeply.")


def _refused(found: Sequence[Finding]) -> Invalid:
    named = "; ".join(str(finding) for finding in found[:_NAMED])
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    findings = [{"code": finding.code, "path": finding.path, "message": finding.message} for finding in found]
    return Invalid(f"The pipeline document is not right: {named}{more}", code=found[0].code, findings=findings)
