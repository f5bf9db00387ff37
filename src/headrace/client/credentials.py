"""Credentials as objects: where a client finds its token, in the form that `kfp` uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

KF_PIPELINES_SA_TOKEN_ENV: Final = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  # a name
KF_PIPELINES_SA_TOKEN_PATH: Final = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105  # a path


class TokenCredentialsBase:
    """Base of objects that know the token of a client. A subclass defines `refresh_api_key_hook`."""

    def refresh_api_key_hook(self, config: Any) -> None:
        """Put the present token into `config.api_key["authorization"]`.

        Args:
            config: An object with a dict `api_key`.

        Raises:
            NotImplementedError: The subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define refresh_api_key_hook(config).")


class ServiceAccountTokenVolumeCredentials(TokenCredentialsBase):
    """The token of a Kubernetes service account, from the file that the cluster keeps in a pod's volume.

    Args:
        path: The file. Default: the environment variable `KF_PIPELINES_SA_TOKEN_PATH`, else
            `/var/run/secrets/kubeflow/pipelines/token`.
    """

    def __init__(self, path: str | None = None) -> None:
        self._token_path = path or os.environ.get(KF_PIPELINES_SA_TOKEN_ENV) or KF_PIPELINES_SA_TOKEN_PATH

    def refresh_api_key_hook(self, config: Any) -> None:
        """Put the token that is in the file now into `config.api_key["authorization"]`.

        Args:
            config: An object with a dict `api_key`.

        Raises:
            OSError: The file cannot be read.
        """
        config.api_key["authorization"] = Path(self._token_path).read_text(encoding="utf-8").strip()


class _Configuration:
    """What `refresh_api_key_hook` fills."""

    def __init__(self) -> None:
        self.api_key: dict[str, str] = {}


def token_of(credentials: Any) -> str | None:
    """The token of credentials: of kfp's classes, of ours, or of an object with `get_token()`."""
    if credentials is None:
        return None
    if hasattr(credentials, "get_token"):
        return str(credentials.get_token())
    configuration = _Configuration()
    credentials.refresh_api_key_hook(configuration)
    return configuration.api_key.get("authorization")
