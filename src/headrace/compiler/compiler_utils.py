"""What users catch and pass: illegal dependencies, and options for Kubernetes manifests."""

from __future__ import annotations

import dataclasses

from headrace.dsl.errors import DslError
from headrace.dsl.pipeline_channel import additional_input_name_for_pipeline_channel

__all__ = ["InvalidTopologyException", "KubernetesManifestOptions", "additional_input_name_for_pipeline_channel"]


class InvalidTopologyException(DslError):
    """A task needs something from a place it cannot see."""

    code = "TOPOLOGY_INVALID"


@dataclasses.dataclass
class KubernetesManifestOptions:
    """Names for `kubernetes_manifest_format=True`; what is left out follows from the pipeline's name."""

    pipeline_name: str | None = None
    pipeline_display_name: str | None = None
    pipeline_version_name: str | None = None
    pipeline_version_display_name: str | None = None
    namespace: str | None = None
    include_pipeline_manifest: bool = False

    def completed(self, name: str) -> KubernetesManifestOptions:
        """With every name filled in."""
        pipeline_name = self.pipeline_name if self.pipeline_name is not None else name
        version_name = self.pipeline_version_name or pipeline_name
        return dataclasses.replace(
            self,
            pipeline_name=pipeline_name,
            pipeline_display_name=self.pipeline_display_name or pipeline_name,
            pipeline_version_name=version_name,
            pipeline_version_display_name=self.pipeline_version_display_name or version_name,
        )
