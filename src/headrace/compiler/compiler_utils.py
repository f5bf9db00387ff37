"""The exception for illegal dependencies, and the options for Kubernetes manifests."""

from __future__ import annotations

import dataclasses

from headrace.dsl.errors import DslError
from headrace.dsl.pipeline_channel import additional_input_name_for_pipeline_channel

__all__ = ["InvalidTopologyException", "KubernetesManifestOptions", "additional_input_name_for_pipeline_channel"]


class InvalidTopologyException(DslError):
    """A task needs an output of a task that it cannot see, for instance of one inside a loop that it is outside of.

    Args:
        message: What is wrong.
        code: A stable code. Default: `TOPOLOGY_INVALID`.
        hint: How to write it instead. Default: none.
        location: The line of the user's code. Default: the line that called the SDK.
    """

    code = "TOPOLOGY_INVALID"


@dataclasses.dataclass
class KubernetesManifestOptions:
    """Names for `Compiler().compile(..., kubernetes_manifest_format=True)`.

    Args:
        pipeline_name: Name of the `Pipeline` resource. Default: the pipeline's name.
        pipeline_display_name: Its display name. Default: `pipeline_name`.
        pipeline_version_name: Name of the `PipelineVersion` resource. Default: `pipeline_name`.
        pipeline_version_display_name: Its display name. Default: `pipeline_version_name`.
        namespace: Namespace of the resources. Default: none is written.
        include_pipeline_manifest: Whether to write the `Pipeline` resource too. Default: False.
    """

    pipeline_name: str | None = None
    pipeline_display_name: str | None = None
    pipeline_version_name: str | None = None
    pipeline_version_display_name: str | None = None
    namespace: str | None = None
    include_pipeline_manifest: bool = False

    def completed(self, name: str) -> KubernetesManifestOptions:
        """The options with every name filled in.

        Args:
            name: The pipeline's name, for names that were left out.

        Returns:
            New options; these stay as they are.
        """
        pipeline_name = self.pipeline_name if self.pipeline_name is not None else name
        version_name = self.pipeline_version_name or pipeline_name
        return dataclasses.replace(
            self,
            pipeline_name=pipeline_name,
            pipeline_display_name=self.pipeline_display_name or pipeline_name,
            pipeline_version_name=version_name,
            pipeline_version_display_name=self.pipeline_version_display_name or version_name,
        )
