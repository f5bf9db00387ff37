"""Opens buckets with obstore and translates its errors. Loaded only where an object store is used."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from headrace.artifacts.object_stores import ObjectStoreConfig, ObjectUri, StoreAccess
from headrace.artifacts.port import ArtifactError, Expired, NotConfigured, NotStored, Refused, Unreachable

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


#: Answers by which a store says "not now", whatever the status: as in the retry rules of AWS's and MinIO's own tools,
#: and of Azure's.
_PASSING_CODES = frozenset(
    {
        "BandwidthLimitExceeded", "EC2ThrottledException", "IncompleteBody", "InternalError", "InternalFailure",
        "LimitExceededException", "OperationAborted", "OperationTimedOut", "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "RequestTimeTooSkewed", "RequestTimeout", "RequestTimeoutException",
        "ServerBusy", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite", "ThrottledException",
        "Throttling", "ThrottlingException", "TooManyRequests", "TooManyRequestsException",
        "TransactionInProgressException", "XMinioServerNotInitialized",
    }
)  # fmt: skip
#: Answers to credentials whose time is over, or not yet come.
_EXPIRED_CODES = frozenset(
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "AuthenticationExpired"]
)
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9]+)\s*</Code>|\"(?:code|__type|reason)\"\s*:\s*\"([A-Za-z0-9]+)\"")


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """The store's errors as ours: by the code that its answer holds, where it holds one, else by the status."""
    try:
        yield
    except (exceptions.BaseError, FileNotFoundError, TimeoutError) as error:
        raise _translation(error, what) from error


def _translation(error: Exception, what: str) -> ArtifactError:
    codes = {one for found in _CODE.findall(str(error)) for one in found if one}
    said = _first(error)
    if codes & _EXPIRED_CODES:
        return Expired(f"the store says that the credentials have expired: {said}.")
    if codes & _PASSING_CODES:
        return Unreachable(f"{what} cannot be reached: {said}")
    if isinstance(error, FileNotFoundError):
        return NotStored(f"{what} is not there: {said}")
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return Refused(f"the store refuses {what}: {said}. Look at its credentials and permissions.")
    return (Refused if _is_lasting(str(error)) else Unreachable)(f"{what} cannot be reached: {said}")


def _is_lasting(text: str) -> bool:
    """The store understood, and its answer is no: trying again cannot help."""
    if "builder error" in text:  # the request itself cannot be made, as with a malformed endpoint
        return True
    return any(f"status code: {status} " in text for status in ("400", "401", "403", "404", "405"))


def _first(error: Exception) -> str:
    """What a person can use of an error that goes on for pages."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:500]
