"""Real object stores for tests, each on ports of its own: SeaweedFS, which speaks S3, and Azure's azurite."""

from __future__ import annotations

import base64
import hmac
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from harness import until
from headrace.artifacts.buckets import open_bucket
from headrace.artifacts.object_stores import ObjectStoreConfig, StoreAccess

#: What every azurite has, by its documentation.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
KEY_ID, SECRET, BUCKET = "tester", "canary-5f1c-secret", "artifacts"


class S3Server(NamedTuple):
    """A server with one bucket."""

    endpoint: str
    process: subprocess.Popen[bytes]

    @property
    def access(self) -> StoreAccess:
        """How it is reached."""
        return StoreAccess(endpoint=self.endpoint, access_key_id=KEY_ID, secret_access_key=SECRET)

    @property
    def stores(self) -> ObjectStoreConfig:
        """It, for `s3://`."""
        return ObjectStoreConfig({"s3://": self.access})

    @property
    def variables(self) -> dict[str, str]:
        """What AWS's own tools would be told."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }


_PORTS = [
    f"{server}.port{kind}"
    for server in ("s3", "master", "volume", "filer", "admin")
    for kind in ("", ".grpc")
]  # fmt: skip


@contextmanager
def s3_server(place: Path) -> Iterator[S3Server]:
    """SeaweedFS over a directory of its own."""
    place.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(len(_PORTS))
    arguments = [f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)]
    log = place.with_name(f"{place.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("weed"), "mini", f"-dir={place}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                f"-bucket={BUCKET}", "-webdav=false", "-admin.ui=false", "-master.telemetry=false",
                "-s3.port.iceberg=0", "-s3.port.lance=0", *arguments,
            ],
            env={**os.environ, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    server = S3Server(f"http://127.0.0.1:{ports[0]}", process)
    try:
        until(lambda: _takes(server), lambda: f"SeaweedFS answers:\n{log.read_text()[-3000:]}", alive=process)
        yield server
    finally:
        process.kill()
        process.wait()


def _takes(server: S3Server) -> bool:
    import obstore

    bucket, _ = open_bucket(server.stores, f"s3://{BUCKET}/x", retries=0, request_timeout_s=5)
    try:
        obstore.put(bucket, "probe", b"x")
    except Exception:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    """Below those that the system gives to whoever asks for any."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


@contextmanager
def azurite(place: Path, program: str) -> Iterator[ObjectStoreConfig]:
    """Microsoft's own emulator of Azure's blobs, where somebody has installed it (`npm install azurite`)."""
    place.mkdir(parents=True, exist_ok=True)
    (port,) = _free_ports(1)
    with place.with_name(f"{place.name}.log").open("wb") as output:
        process = subprocess.Popen(
            [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", place, "--skipApiVersionCheck"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    access = StoreAccess(
        endpoint=f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}", account_name=AZURE_ACCOUNT, account_key=AZURE_KEY
    )
    stores = ObjectStoreConfig({"az://": access})
    try:
        until(lambda: _has_container(port), "azurite answers", alive=process)
        yield stores
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # npm's program is a wrapper
        process.wait()


def _has_container(port: int) -> bool:
    """Make the container, in Azure's way of signing requests."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{date}\nx-ms-version:2021-12-02\n"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container"
    signed = f"PUT{chr(10) * 12}{headers}{resource}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), signed, "sha256")).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}/{BUCKET}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date, "x-ms-version": "2021-12-02", "Content-Length": "0",
            "Authorization": f"SharedKey {AZURE_ACCOUNT}:{signature}",
        },
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status == 201
    except urllib.error.HTTPError as error:
        print(error.read())
        return error.code == 409
    except OSError:
        return False
