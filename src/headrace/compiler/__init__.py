"""A traced pipeline as a document and as YAML text; it does not know servers, runs or how tasks are executed."""

from __future__ import annotations

from headrace.compiler.compiler import Compiler, compiled, document_text
from headrace.compiler.compiler_utils import InvalidTopologyException, KubernetesManifestOptions

__all__ = ["Compiler", "InvalidTopologyException", "KubernetesManifestOptions", "compiled", "document_text"]
