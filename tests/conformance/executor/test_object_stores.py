"""Tasks whose artifacts lie in an object store: they see URIs of the store and paths of this machine, as on KFP."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from conformance.executor.watching import Watch
from harness import processes_of
from headrace.artifacts.places import Access, ObjectStores
from headrace.artifacts.stores import Stores
from headrace.engine.model import Artifact, ArtifactType
from headrace.executors.port import Failed, Lost, Succeeded, Waiting
from object_servers import BUCKET, SECRET

pytestmark = pytest.mark.anyio

WRITES = """
def write(out: Output[Dataset], other: Output[Model]):
    assert out.uri == ROOT + "/out", out.uri
    assert not out.path.startswith(("s3:", "/s3")), out.path
    with open(out.path, "w") as file:
        file.write("content")
    out.metadata["rows"] = 3
    import os
    os.makedirs(other.path)
    for name in ("a", "b"):
        with open(other.path + "/" + name, "w") as file:
            file.write(name)
"""
READS = """
def read(out: Input[Dataset], other: Input[Model]) -> str:
    assert out.uri.startswith("s3://"), out.uri
    assert out.metadata["rows"] == 3
    import os
    with open(out.path) as file:
        return file.read() + " " + " ".join(sorted(os.listdir(other.path)))
"""


@pytest.fixture
def stores(s3, home: Path) -> Stores:
    home.mkdir(exist_ok=True)
    return Stores(home, s3.stores, patience_s=1.0)


@pytest.fixture
def prefix() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}/pipeline/run/task/execution-1"


@pytest.fixture
async def watch(home, open_watch, stores) -> Watch:
    return open_watch(home, porter=stores)


async def outcome(watch, order):
    await watch.executor.launch(order)
    return await watch.end_of(order.attempt)


def taken(end: Succeeded) -> dict[str, tuple[Artifact, ...]]:
    """An attempt's artifacts, as the next one is given them."""
    return {
        name: tuple(
            Artifact(
                artifact_id=name, name=one.name, type=one.type, uri=one.uri, metadata=one.metadata, digest=one.digest,
                size_bytes=one.size_bytes,
            )
            for one in many
        )
        for name, many in end.artifacts.items()
    }  # fmt: skip


BOTH = {"out": "system.Dataset", "other": "system.Model"}


async def written(watch, order, prefix) -> Succeeded:
    source = WRITES.replace("ROOT", repr(prefix))
    end = await outcome(watch, order(source, makes=BOTH, artifact_prefix=prefix))
    assert isinstance(end, Succeeded), end
    return end


async def test_from_one_task_to_the_next(home, watch, order, prefix, stores):
    end = await written(watch, order, prefix)
    (out,), (other,) = end.artifacts["out"], end.artifacts["other"]
    assert (out.uri, out.size_bytes, out.metadata) == (f"{prefix}/out", 7, {"rows": 3})
    assert (other.is_directory, other.size_bytes) == (True, 2)
    assert await stores.exists(other.uri, digest=other.digest)
    reading = order(READS, path="read", artifacts=taken(end), gives={"Output": "STRING"})
    got = await outcome(watch, reading)
    assert isinstance(got, Succeeded), got
    assert got.parameters == {"Output": "content a b"}
    waits = [report.reason.code for report in watch.of(reading.attempt) if isinstance(report, Waiting)]
    assert "FETCHING_INPUTS" in waits
    assert processes_of(home) == []


async def test_credentials_stay_with_the_server(home, watch, order, prefix):
    tells = """
    def tell(out: Output[Dataset], other: Output[Model]):
        import os
        print(dict(os.environ))
        print(open("/proc/self/cmdline").read())
    """
    end = await outcome(watch, order(tells, makes=BOTH, artifact_prefix=prefix))
    assert isinstance(end, Succeeded), end
    seen = [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert seen == []


async def test_what_was_fetched_once_is_there_for_the_next(home, watch, order, prefix, s3):
    end = await written(watch, order, prefix)
    for number in (1, 2):
        reading = order(READS, path="read", number=number, artifacts=taken(end), gives={"Output": "STRING"})
        assert isinstance(await outcome(watch, reading), Succeeded)
    assert len(list((home / "fetched").iterdir())) == 2


@pytest.mark.parametrize("damage", ["gone", "altered"])
async def test_content_that_is_not_what_it_was(watch, order, prefix, s3, damage):
    import obstore

    end = await written(watch, order, prefix)
    bucket, place = s3.stores.open(f"{prefix}/out", retries=0, request_timeout_s=10)
    if damage == "gone":
        obstore.delete(bucket, [place.key])
    else:
        obstore.put(bucket, place.key, b"contemt")
    got = await outcome(watch, order(READS, path="read", artifacts=taken(end), gives={"Output": "STRING"}))
    assert isinstance(got, Failed), got
    assert got.error.code == {"gone": "ARTIFACT_LOST", "altered": "ARTIFACT_CORRUPT"}[damage]
    assert "'out'" in got.error.message
    assert not got.retryable


async def test_a_store_that_does_not_answer(home, open_watch, order, prefix):
    nowhere = ObjectStores(
        {"s3://": Access(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key=SECRET)}
    )
    watch = open_watch(home, porter=Stores(home, nowhere, patience_s=0.1))
    source = WRITES.replace("ROOT", repr(prefix))
    end = await outcome(watch, order(source, makes=BOTH, artifact_prefix=prefix))
    assert isinstance(end, Lost), end
    assert end.error.code == "OBJECT_STORE_UNAVAILABLE"
    assert SECRET not in str(end)


async def test_a_store_that_refuses(home, open_watch, order, prefix, s3):
    wrong = ObjectStores({"s3://": Access(endpoint=s3.endpoint, access_key_id="tester", secret_access_key="wrong")})
    watch = open_watch(home, porter=Stores(home, wrong, patience_s=0.1))
    source = WRITES.replace("ROOT", repr(prefix))
    end = await outcome(watch, order(source, makes=BOTH, artifact_prefix=prefix))
    assert isinstance(end, Failed), end
    assert end.error.code == "OBJECT_STORE_REFUSED"


async def test_outputs_in_other_places(watch, order, prefix, stores):
    """A path of one's own, one below `get_uri`, a URI that the component has written to itself, an input handed on."""
    source = """
    def make(given: Input[Dataset], own: Output[Dataset], below: Output[Dataset], far: Output[Dataset],
             same: Output[Dataset], nothing: Output[Dataset]):
        own.path = "mine.txt"
        with open(own.path, "w") as file:
            file.write("own")
        below.uri = dsl.get_uri("some/where")
        assert below.uri.startswith("s3://"), below.uri
        import os
        os.makedirs(os.path.dirname(below.path))
        with open(below.path, "w") as file:
            file.write("below")
        far.uri = "s3://somebody/elses/object"
        same.uri = given.uri
    """
    first = await written(watch, order, prefix)
    titles = dict.fromkeys(("own", "below", "far", "same", "nothing"), "system.Dataset")
    later = prefix.replace("execution-1", "execution-2")
    given = {"given": taken(first)["out"]}
    source = source.replace('"mine.txt"', 'os.path.abspath("mine.txt")').replace(
        "        own.path", "        import os\n        own.path", 1
    )
    end = await outcome(watch, order(source, path="make", makes=titles, artifacts=given, artifact_prefix=later))
    assert isinstance(end, Succeeded), end
    made = {name: many[0] for name, many in end.artifacts.items()}
    assert (made["own"].uri, made["own"].size_bytes) == (f"{later}/own", 3)
    assert made["below"].size_bytes == 5
    assert (made["far"].uri, made["far"].digest) == ("s3://somebody/elses/object", "")
    assert (made["same"].uri, made["same"].digest) == (given["given"][0].uri, given["given"][0].digest)
    assert (made["nothing"].uri, made["nothing"].size_bytes) == (f"{later}/nothing", 0)
    for name in ("own", "below", "nothing"):
        assert await stores.exists(made[name].uri, digest=made[name].digest, size_bytes=made[name].size_bytes)


def elsewhere(uri: str) -> dict[str, tuple[Artifact, ...]]:
    return {"data": (Artifact(artifact_id="a", name="data", type=ArtifactType(), uri=uri),)}


@pytest.mark.parametrize(
    ("uri", "code", "word"),
    [
        ("gs://bucket/key", "OBJECT_STORE_NOT_CONFIGURED", "object-stores.yaml"),
        ("https://example.org/data.csv", "ARTIFACT_ELSEWHERE", "download it"),
        ("oci://registry/model:1", "ARTIFACT_ELSEWHERE", "Kubernetes"),
        ("ftp://example.org/data", "ARTIFACT_ELSEWHERE", "uri"),
    ],
)
async def test_content_that_nobody_fetches(watch, order, uri, code, word):
    """The URI is all that many components want of it; who asks for the path is told why there is none."""
    told = "def tell(data: Input[Artifact]) -> str:\n    return data.uri\n"
    end = await outcome(watch, order(told, artifacts=elsewhere(uri), gives={"Output": "STRING"}))
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"Output": uri}
    asked = "def ask(data: Input[Artifact]) -> str:\n    return open(data.path).read()\n"
    end = await outcome(watch, order(asked, path="ask", artifacts=elsewhere(uri), gives={"Output": "STRING"}))
    assert isinstance(end, Failed), end
    assert end.error.code == code
    assert word in end.error.message
