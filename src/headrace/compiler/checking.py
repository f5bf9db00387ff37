"""The last step of each compile: the verifier checks the document, as the backend would read it."""

from __future__ import annotations

from headrace.dsl.errors import DslError
from headrace.dsl.structures import IR


class InvalidDocument(DslError):
    """The verifier found something in a document that no backend could run."""

    code = "DOCUMENT_INVALID"


def check_document(pipeline_spec: IR, platform_spec: IR) -> None:
    """Refuse a document with dangling references, types that do not fit, or leftovers."""
    from headrace.spec.verify import verify  # here, so that importing the compiler stays cheap

    findings = verify(pipeline_spec, platform_spec or None)
    if findings:
        shown = "\n  ".join(str(finding) for finding in findings[:10])
        raise InvalidDocument(
            f"The compiled document is not valid ({len(findings)} findings); this is a fault in headrace unless the "
            f"document was loaded from a file:\n  {shown}"
        )
