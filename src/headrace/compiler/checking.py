"""The last step of each compile: the verifier checks the document, as the backend would read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.dsl.errors import DslError
from headrace.dsl.structures import IR


class InvalidDocument(DslError):
    """The verifier found something in a document that no backend could run."""

    code = "DOCUMENT_INVALID"


#: Warnings of the verifier that do not stop a compile: such a text may be meant for another system, or for a reader.
_TRAVELS = frozenset({"PLACEHOLDER_UNKNOWN"})


def check_document(pipeline_spec: IR, platform_spec: IR) -> None:
    """Refuse a document with dangling references, types that do not fit, or leftovers. Raises InvalidDocument."""
    from headrace.spec.verify import verify  # here, so that importing the compiler stays cheap

    findings = [
        finding
        for finding in verify(pipeline_spec, platform_spec or None)
        if finding.severity == "error" or finding.code not in _TRAVELS
    ]
    if findings:
        shown = "\n  ".join(str(finding) for finding in findings[:10])
        count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
        raise InvalidDocument(
            f"The pipeline cannot run as it is written ({count}, each with its place in the document):\n  {shown}",
            hint="change the task or the value that a finding names.",
        )


def check_written(text: str, documents: Sequence[IR]) -> None:
    """Read the text of a file as a server would, and compare: no text of the author may change what it says.

    Raises InvalidDocument.
    """
    from headrace.spec.reading import DocumentError, read_documents

    try:
        found: list[Any] = [one for one in read_documents(text) if one is not None]
    except DocumentError as error:
        raise InvalidDocument(f"The compiled file could not be read by a server: {error}", code=error.code) from None
    if found != list(documents):
        raise InvalidDocument(
            "The compiled file would say something else than the pipeline: a text in it is changed when it is read. "
            "Please report this with the pipeline.",
            code="DOCUMENT_ALTERED",
        )
