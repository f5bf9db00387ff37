"""The Python client: `Headrace` for our own API, `Client` for KFP's; it imports no room of the server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.client.errors import ApiError as ApiError
    from headrace.client.errors import ServerUnreachable as ServerUnreachable
    from headrace.client.headrace import Headrace as Headrace
    from headrace.client.kfp import Client as Client
    from headrace.client.kfp import RunPipelineResult as RunPipelineResult
    from headrace.client.server_address import ServerAddress as ServerAddress
    from headrace.client.server_address import find_server as find_server

_WHERE = {
    "ApiError": "errors",
    "ServerUnreachable": "errors",
    "Headrace": "headrace",
    "Client": "kfp",
    "RunPipelineResult": "kfp",
    "ServiceAccountTokenVolumeCredentials": "credentials",
    "TokenCredentialsBase": "credentials",
    "KF_PIPELINES_SA_TOKEN_ENV": "credentials",
    "KF_PIPELINES_SA_TOKEN_PATH": "credentials",
    "ServerAddress": "server_address",
    "find_server": "server_address",
}

__all__ = [
    "KF_PIPELINES_SA_TOKEN_ENV",
    "KF_PIPELINES_SA_TOKEN_PATH",
    "ApiError",
    "Client",
    "Headrace",
    "RunPipelineResult",
    "ServerAddress",
    "ServerUnreachable",
    "ServiceAccountTokenVolumeCredentials",
    "TokenCredentialsBase",
    "find_server",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'headrace.client' has no attribute {name!r}")
    return getattr(importlib.import_module(f"headrace.client.{_WHERE[name]}"), name)
