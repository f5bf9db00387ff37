"""Which object stores a server can reach, and how: as a file of the data directory says, else the usual variables.

The file is `object-stores.yaml`. Its keys are URIs or beginnings of URIs, of which the longest that fits counts; its
values say how to get there:

    s3://:                          # all buckets
      endpoint: http://127.0.0.1:9000
      region: us-east-1
      path_style: true
      access_key_id_env: MINIO_USER
      secret_access_key_file: /run/secrets/minio
    s3://public-data:
      anonymous: true

What is not said there comes from AWS_*, GOOGLE_* and AZURE_* variables, or the machine's role, as the store's own tools
would have it. Nothing of it ever leaves this process.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.artifacts.port import NotConfigured
from headrace.spec.reading import DocumentError, read_one

FILE = "object-stores.yaml"
#: Scheme -> what kind of store it is. KFP writes `minio` for S3's protocol at an endpoint of one's own.
SCHEMES: Mapping[str, str] = {
    "s3": "s3", "minio": "s3", "gs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure",
}  # fmt: skip
#: One of these in the environment says that its kind of store is meant to be used.
_TELLING = {
    "s3": (
        "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "gcs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "azure": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_CLIENT_ID"),
}  # fmt: skip
_URI = re.compile(r"([a-z0-9+.-]+)://([^/?#]*)/?([^?]*)", re.DOTALL)
_SECRETS = ("access_key_id", "secret_access_key", "session_token", "account_key", "sas_key", "service_account_key")


class ObjectUri(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an object store's URI."""

    scheme: str
    bucket: str
    #: Without slashes at its ends.
    key: str

    @classmethod
    def parse(cls, uri: str) -> ObjectUri | None:
        """The parts of the URI; None for a URI that is not of an object store."""
        match = _URI.fullmatch(uri)
        if match is None or match[1] not in SCHEMES or not match[2]:
            return None
        bucket, key = match[2], match[3].strip("/")
        if SCHEMES[match[1]] == "azure" and "@" in bucket:  # abfss://container@account.dfs.core.windows.net/key
            bucket = bucket.partition("@")[0]
        return cls(scheme=match[1], bucket=bucket, key=key)

    @property
    def kind(self) -> str:
        """`s3`, `gcs` or `azure`."""
        return SCHEMES[self.scheme]


class StoreAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach one store: an entry of the file.

    A secret stands in the entry itself, in the variable `<name>_env`, or in the file `<name>_file`.
    """

    endpoint: str = ""
    region: str = ""
    path_style: bool = True
    anonymous: bool = False
    #: Azure's account.
    account_name: str = ""
    #: Credentials by name, see `_SECRETS`.
    access_key_id: str = ""
    access_key_id_env: str = ""
    access_key_id_file: str = ""
    secret_access_key: str = ""
    secret_access_key_env: str = ""
    secret_access_key_file: str = ""
    session_token: str = ""
    session_token_env: str = ""
    session_token_file: str = ""
    account_key: str = ""
    account_key_env: str = ""
    account_key_file: str = ""
    sas_key: str = ""
    sas_key_env: str = ""
    sas_key_file: str = ""
    service_account_key: str = ""
    service_account_key_env: str = ""
    service_account_key_file: str = ""

    def secrets(self) -> dict[str, str]:
        """The credentials it gives. Raises NotConfigured for a variable or file that is not there."""
        return {name: text for name in _SECRETS if (text := self._secret(name))}

    def __repr__(self) -> str:
        return f"StoreAccess({self.endpoint or 'the default endpoint'})"  # never the credentials

    def has_secrets_inside(self) -> bool:
        """Whether the file itself must be kept from others."""
        return any(getattr(self, name) for name in _SECRETS)

    def _secret(self, name: str) -> str:
        if variable := getattr(self, f"{name}_env"):
            if variable not in os.environ:
                raise NotConfigured(f"{FILE} names the variable {variable} for {name}, which is not set.")
            return os.environ[variable]
        if file := getattr(self, f"{name}_file"):
            try:
                return Path(file).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeError) as error:
                raise NotConfigured(f"{FILE} names the file {file} for {name}, which cannot be read: {error}") from None
        return str(getattr(self, name))


class ObjectStoreConfig:
    """How this server reaches each object store."""

    def __init__(self, accesses: Mapping[str, StoreAccess] | None = None, data_dir: Path | None = None) -> None:
        self._accesses = dict(accesses or {})
        self._data_dir = data_dir

    @classmethod
    def read(cls, data_dir: Path) -> ObjectStoreConfig:
        """As the data directory's file says. Raises NotConfigured when it cannot be read."""
        path = data_dir / FILE
        try:
            text, mode = path.read_bytes(), path.stat().st_mode
        except FileNotFoundError:
            return cls(data_dir=data_dir)
        except OSError as error:
            raise NotConfigured(f"{path} cannot be read: {error.strerror}.") from error
        accesses = _read(path, text)
        if stat.S_IMODE(mode) & 0o077 and any(access.has_secrets_inside() for access in accesses.values()):
            raise NotConfigured(f"{path} holds credentials, and others may read it. Run: chmod 600 {path}")
        return cls(accesses, data_dir)

    def refresh(self) -> None:
        """Read the file again: credentials change. One that cannot be read now changes nothing."""
        if self._data_dir is not None:
            with contextlib.suppress(NotConfigured):
                self._accesses = self.read(self._data_dir)._accesses

    def credentials(self, uri: str) -> tuple[str, ...]:
        """The credentials of the URI's store as they are now, to be compared; empty where none are given, or read."""
        access = self._access(uri)
        try:
            return () if access is None else tuple(f"{name}={text}" for name, text in access.secrets().items())
        except NotConfigured:
            return ()

    def knows(self, uri: str) -> bool:
        """Whether the file or a variable says how to reach the URI's store."""
        parsed = ObjectUri.parse(uri)
        if parsed is None:
            return False
        return self._access(uri) is not None or any(os.environ.get(name) for name in _TELLING[parsed.kind])

    def _access(self, uri: str) -> StoreAccess | None:
        fits = [known for known in self._accesses if uri == known or uri.startswith(_beginning(known))]
        return self._accesses[max(fits, key=len)] if fits else None

    def locate(self, uri: str) -> tuple[ObjectUri, StoreAccess]:
        """The parts of the URI, and how to reach its store. Raises NotConfigured."""
        parsed = ObjectUri.parse(uri)
        if parsed is None or not self.knows(uri):
            raise NotConfigured(_how_to_configure(uri, parsed))
        return parsed, self._access(uri) or StoreAccess()


def _beginning(known: str) -> str:
    return known if known.endswith("/") else f"{known}/"


def _how_to_configure(uri: str, parsed: ObjectUri | None) -> str:
    if parsed is None:
        return f"{uri} is in no kind of store that this server can read; those are {', '.join(SCHEMES)}."
    variables = ", ".join(_TELLING[parsed.kind][:3])
    return (
        f"This server does not know how to reach {parsed.scheme}://{parsed.bucket}. Write an entry "
        f"`{parsed.scheme}://` into {FILE} in the data directory, or set the store's usual variables ({variables}, …), "
        "and start the server again."
    )


def _read(path: Path, text: bytes) -> dict[str, StoreAccess]:
    try:
        found = read_one(text)
    except DocumentError as error:
        raise NotConfigured(f"{path} cannot be used: {error}") from error
    if not isinstance(found, dict):
        raise NotConfigured(f"{path} cannot be used: it is not an object whose keys are beginnings of URIs.")
    return {str(uri): _entry(path, str(uri), entry) for uri, entry in found.items()}


def _entry(path: Path, uri: str, entry: object) -> StoreAccess:
    if uri.partition("://")[0] not in SCHEMES or "://" not in uri:
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise NotConfigured(f"{path}: {uri!r} is not the beginning of an object store's URI; write one of {schemes}.")
    try:
        return msgspec.convert({} if entry is None else entry, StoreAccess)
    except msgspec.ValidationError as error:
        fields = ", ".join(name for name in StoreAccess.__struct_fields__ if not name.endswith(("_env", "_file")))
        raise NotConfigured(
            f"{path}, at {uri!r}: {error}. The fields are {fields}, and those of credentials with _env or _file."
        ) from error
