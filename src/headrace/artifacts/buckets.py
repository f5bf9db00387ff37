"""Opens buckets with obstore and translates its errors. Loaded only where an object store is used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from headrace.artifacts.object_stores import ObjectStoreConfig, ObjectUri, StoreAccess
from headrace.artifacts.port import ArtifactError, NotConfigured, NotStored, Refused, Unreachable

try:
    from obstore import exceptions
    from obstore.store import AzureStore, GCSStore, S3Store
except ImportError as error:  # pragma: no cover - part of headrace[server]
    raise NotConfigured(f"Object stores need the package obstore: pip install 'headrace[server]' ({error}).") from error

_CONNECT_TIMEOUT_S = 5
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


def open_bucket(
    config: ObjectStoreConfig, uri: str, *, retries: int, request_timeout_s: float
) -> tuple[Any, ObjectUri]:
    """An obstore store of the URI's bucket, and the parts of the URI. Raises NotConfigured.

    Each request is answered, or fails, within `request_timeout_s`; with its retries within four times that.
    """
    parsed, access = config.locate(uri)
    options: dict[str, Any] = {
        "retry_config": {"max_retries": retries, "retry_timeout": timedelta(seconds=4 * request_timeout_s)},
        "client_options": {
            "timeout": timedelta(seconds=request_timeout_s),
            "connect_timeout": timedelta(seconds=_CONNECT_TIMEOUT_S),
            "user_agent": "headrace",
        },
    }
    with _refused_settings(parsed):
        return _OPENERS[parsed.kind](parsed, access, options), parsed


def _s3(parsed: ObjectUri, access: StoreAccess, options: dict[str, Any]) -> Any:
    config: dict[str, Any] = {**access.secrets()}
    if access.endpoint:
        config["endpoint"] = access.endpoint
        config["virtual_hosted_style_request"] = not access.path_style
    if access.endpoint or access.region:
        config["region"] = access.region or "us-east-1"
    return S3Store(parsed.bucket, **_common(access, config, options))


def _gcs(parsed: ObjectUri, access: StoreAccess, options: dict[str, Any]) -> Any:
    config: dict[str, Any] = {**access.secrets()}
    if access.endpoint:
        config["base_url"] = access.endpoint
    return GCSStore(parsed.bucket, **_common(access, config, options))


def _azure(parsed: ObjectUri, access: StoreAccess, options: dict[str, Any]) -> Any:
    config: dict[str, Any] = {**access.secrets()}
    if access.account_name:
        config["account_name"] = access.account_name
    if access.endpoint:
        config["endpoint"] = access.endpoint
    return AzureStore(parsed.bucket, **_common(access, config, options))


_OPENERS = {"s3": _s3, "gcs": _gcs, "azure": _azure}


def _common(access: StoreAccess, config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    if access.anonymous:
        config["skip_signature"] = True
    # As the stores' own tools do: a user who names an endpoint without TLS means it.
    endpoint = access.endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    if endpoint.startswith("http://"):
        options["client_options"]["allow_http"] = True
    return {**config, **options}


@contextlib.contextmanager
def _refused_settings(parsed: ObjectUri) -> Iterator[None]:
    try:
        yield
    except ArtifactError:
        raise
    except (ValueError, exceptions.BaseError) as error:
        raise NotConfigured(f"The store of {parsed.scheme}://{parsed.bucket} cannot be used: {_first(error)}") from None


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """The store's errors as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotStored(f"{what} is not there: {_first(error)}") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise Refused(f"the store refuses {what}: {_first(error)}. Look at its credentials and permissions.") from None
    except (exceptions.BaseError, TimeoutError) as error:
        kind = Refused if _is_lasting(str(error)) else Unreachable
        raise kind(f"{what} cannot be reached: {_first(error)}") from None


def _is_lasting(text: str) -> bool:
    """The store understood, and its answer is no: trying again cannot help."""
    if "builder error" in text:  # the request itself cannot be made, as with a malformed endpoint
        return True
    return any(f"status code: {status} " in text for status in ("400", "401", "403", "404", "405"))


def _first(error: Exception) -> str:
    """What a person can use of an error that goes on for pages."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:500]
