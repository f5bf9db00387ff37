"""Tasks whose artifacts lie in an object store: they see URIs of the store and paths of this machine, as on KFP."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import msgspec
import obstore
import pytest

from conformance.executor.conftest import PYTHON_IMAGE
from conformance.executor.watching import Watch
from faulty_proxy import faulty_proxy
from harness import processes_of
from headrace.artifacts.buckets import open_bucket
from headrace.artifacts.object_stores import ObjectStoreConfig, StoreAccess
from headrace.artifacts.stores import Stores
from headrace.engine.model import Artifact, ArtifactType
from headrace.executors.port import Failed, Stopped, Succeeded, Waiting
from object_servers import BUCKET, KEY_ID, SECRET
from orders import shell_order

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
    return open_watch(home, artifacts=stores)


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

    end = await written(watch, order, prefix)
    bucket, place = open_bucket(s3.stores, f"{prefix}/out", retries=0, request_timeout_s=10)
    if damage == "gone":
        obstore.delete(bucket, [place.key])
    else:
        obstore.put(bucket, place.key, b"contemt")
    got = await outcome(watch, order(READS, path="read", artifacts=taken(end), gives={"Output": "STRING"}))
    assert isinstance(got, Failed), got
    assert got.error.code == {"gone": "ARTIFACT_LOST", "altered": "ARTIFACT_CORRUPT"}[damage]
    assert "'out'" in got.error.message
    assert not got.retryable


NOWHERE = ObjectStoreConfig(
    {"s3://": StoreAccess(endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key=SECRET)}
)


def telling(order, prefix: str):
    """The order of a task that says in its log that it runs."""
    source = WRITES.replace("ROOT", repr(prefix)) + "    print('it runs')\n"
    return lambda number=1: order(source, makes=BOTH, artifact_prefix=prefix, number=number)


def times_run(home: Path) -> int:
    """How often the task of `telling` ran, over all its attempts."""
    return sum(path.read_text().count("it runs") for path in (home / "attempts").rglob("log"))


async def test_a_store_that_is_away_is_waited_for_and_the_task_runs_once(home, open_watch, order, prefix, s3):
    asked = telling(order, prefix)
    with faulty_proxy(s3.endpoint, rate=1.0) as proxy:
        access = StoreAccess(endpoint=proxy.endpoint, access_key_id=KEY_ID, secret_access_key=SECRET)
        config = ObjectStoreConfig({"s3://": access})
        watch = open_watch(home, artifacts=Stores(home, config, patience_s=0.1), max_parallel=1)
        await watch.executor.launch(asked())
        await watch.start_of(asked().attempt)
        waiting = await watch.until(asked().attempt, Waiting, after=len(watch.seen))
        assert waiting.reason.code == "STORING_OUTPUTS"
        assert SECRET not in str(waiting)
        # It holds its place until all of it is stored.
        other = order("def other():\n    pass\n", path="other")
        await watch.executor.launch(other)
        assert (await watch.until(other.attempt, Waiting)).reason.code == "WAITING_FOR_SLOT"
        proxy.rate = 0.0
        end = await watch.end_of(asked().attempt)
    assert isinstance(end, Succeeded), end
    assert times_run(home) == 1
    assert isinstance(await watch.end_of(other.attempt), Succeeded)


async def test_what_waits_for_its_store_can_be_stopped(home, open_watch, order, prefix):
    asked = telling(order, prefix)
    watch = open_watch(home, artifacts=Stores(home, NOWHERE, patience_s=3600.0))
    await watch.executor.launch(asked())
    assert (await watch.until(asked().attempt, Waiting)).reason.code == "STORING_OUTPUTS"
    await watch.executor.stop(asked().attempt)
    assert isinstance(await watch.end_of(asked().attempt), Stopped)


async def test_what_waits_for_its_store_is_stored_by_the_next_server(home, open_watch, order, prefix, stores):
    asked = telling(order, prefix)
    first = open_watch(home, artifacts=Stores(home, NOWHERE, patience_s=3600.0))
    await first.executor.launch(asked())
    await first.until(asked().attempt, Waiting)
    await first.close()
    later = open_watch(home, artifacts=stores)
    await later.executor.launch(asked())
    assert isinstance(await later.end_of(asked().attempt), Succeeded)
    assert times_run(home) == 1


async def test_what_a_store_refused_is_stored_by_the_next_attempt(home, open_watch, order, prefix, s3, stores):
    wrong = ObjectStoreConfig(
        {"s3://": StoreAccess(endpoint=s3.endpoint, access_key_id=KEY_ID, secret_access_key="wrong")}
    )
    asked = telling(order, prefix)
    watch = open_watch(home, artifacts=Stores(home, wrong, patience_s=0.1))
    for number in (1, 2):
        end = await outcome(watch, asked(number))
        assert isinstance(end, Failed), end
        assert (end.error.code, end.retryable) == ("OBJECT_STORE_REFUSED", False)
        assert "headrace retry" in end.error.message
        await watch.executor.settle(asked(number).attempt)
    await watch.close()
    later = open_watch(home, artifacts=stores)
    end = await outcome(later, asked(3))
    assert isinstance(end, Succeeded), end
    assert times_run(home) == 1
    assert {name: await stores.exists(one.uri, digest=one.digest) for name, (one,) in end.artifacts.items()} == {
        "out": True, "other": True,
    }  # fmt: skip
    await later.executor.settle(asked(3).attempt)
    kept_files = [path.name for path in (home / "attempts").rglob("*") if path.is_file()]
    assert set(kept_files) <= {"log", "claim", "result.json"}


async def test_what_is_kept_is_not_stored_for_other_inputs(home, open_watch, order, prefix, s3, stores):
    wrong = ObjectStoreConfig(
        {"s3://": StoreAccess(endpoint=s3.endpoint, access_key_id=KEY_ID, secret_access_key="wrong")}
    )
    source = "def say(text: str, out: Output[Dataset]):\n    open(out.path, 'w').write(text)\n"

    def asked(number: int, text: str):
        made = {"out": "system.Dataset"}
        return order(source, makes=made, artifact_prefix=prefix, number=number, parameters={"text": text})

    watch = open_watch(home, artifacts=Stores(home, wrong, patience_s=0.1))
    assert isinstance(await outcome(watch, asked(1, "one")), Failed)
    await watch.executor.settle(asked(1, "one").attempt)
    await watch.close()
    later = open_watch(home, artifacts=stores)
    end = await outcome(later, asked(2, "three"))
    assert isinstance(end, Succeeded), end
    assert end.artifacts["out"][0].size_bytes == 5


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
    source = source.replace('"mine.txt"', 'os.path.dirname(own.path) + "/mine.txt"').replace(
        "        own.path", "        import os\n        own.path", 1
    )
    end = await outcome(watch, order(source, path="make", makes=titles, artifacts=given, artifact_prefix=later))
    assert isinstance(end, Succeeded), end
    made = {name: many[0] for name, many in end.artifacts.items()}
    assert (made["own"].uri, made["own"].size_bytes) == (f"{later}/mine.txt", 3)
    assert (made["below"].uri, made["below"].size_bytes) == (f"{later}/some/where", 5)
    assert (made["far"].uri, made["far"].digest) == ("s3://somebody/elses/object", "")
    assert (made["same"].uri, made["same"].digest) == (given["given"][0].uri, given["given"][0].digest)
    assert (made["nothing"].uri, made["nothing"].digest) == (f"{later}/nothing", "")
    assert "never written" in made["nothing"].not_written
    for name in ("own", "below"):
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
    """The URI is all that many components want of it, or the path's text; who opens it is told why it is not there."""
    told = "def tell(data: Input[Artifact]) -> str:\n    print(data.path)\n    return data.uri\n"
    end = await outcome(watch, order(told, artifacts=elsewhere(uri), gives={"Output": "STRING"}))
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"Output": uri}
    asked = "def ask(data: Input[Artifact]) -> str:\n    return open(data.path).read()\n"
    end = await outcome(watch, order(asked, path="ask", artifacts=elsewhere(uri), gives={"Output": "STRING"}))
    assert isinstance(end, Failed), end
    assert end.error.code == code
    assert word in end.error.message


@pytest.mark.parametrize("where", ["object store", "own directory"])
async def test_nothing_is_left_of_an_attempt_that_failed(home, watch, order, prefix, stores, s3, where):
    """Its first artifact was in the store already when the second turned out to be none."""
    source = """
    def make(good: Output[Dataset], link: Output[Dataset]):
        with open(good.path, "w") as file:
            file.write("content")
        import os
        os.symlink("/nowhere/at/all", link.path)
    """
    asked = order(
        source,
        makes={"good": "system.Dataset", "link": "system.Dataset"},
        artifact_prefix=prefix if where == "object store" else "",
    )
    end = await outcome(watch, asked)
    assert isinstance(end, Failed), end
    assert (end.error.code, end.error.details["output"]) == ("ARTIFACT_INVALID", "link")

    def left() -> list[str]:
        if where == "own directory":
            return [str(path) for path in (home / "artifacts").rglob("*") if path.is_file()]
        bucket, place = open_bucket(s3.stores, prefix, retries=0, request_timeout_s=10)
        return [one["path"] for many in obstore.list(bucket, place.key) for one in many]

    assert len(left()) == 1
    await watch.executor.settle(asked.attempt)
    assert left() == []


async def test_downloads_to_the_workspace_are_the_run_s_own(home, watch, order, prefix):
    """Tasks may change what is there, and the next one sees it."""
    source = """
    def work(data: Input[Dataset]) -> str:
        with open(data.path, "a") as file:
            file.write("+")
        with open("WORKSPACE/.artifacts/OUT") as file:
            return file.read()
    """
    end = await written(watch, order, prefix)
    (out,) = taken(end)["out"]
    given = {"data": (msgspec.structs.replace(out, metadata={"_kfp_workspace": True}),)}
    source = source.replace("OUT", f"s3/{prefix.removeprefix('s3://')}/out").replace(
        '"WORKSPACE/', 'data.path.partition("/.artifacts/")[0] + "/'
    )
    for number, expected in ((1, "content+"), (2, "content++")):
        asked = order(source, path="work", number=number, artifacts=given, gives={"Output": "STRING"})
        got = await outcome(watch, asked)
        assert isinstance(got, Succeeded), got
        assert got.parameters == {"Output": expected}


async def test_a_workspace_has_its_size(watch, order):
    source = """
    def fill(path: str) -> str:
        with open(path + "/data", "wb") as file:
            file.write(b"0" * 100_000)
        return path
    """
    sized = {"parameters": {"path": "{{$.workspace_path}}"}, "gives": {"Output": "STRING"}}
    fits = await outcome(watch, order(source, workspace_bytes=1_000_000, **sized))
    assert isinstance(fits, Succeeded), fits
    assert fits.parameters == {"Output": "/kfp-workspace"}
    full = await outcome(watch, order(source, path="again", workspace_bytes=50_000, **sized))
    assert isinstance(full, Failed), full
    assert (full.error.code, full.error.details["limit"]) == ("WORKSPACE_FULL", 50_000)
    assert "WorkspaceConfig(size" in full.error.message


@pytest.mark.parametrize("kind", ["process"], indirect=True)
@pytest.mark.parametrize("deed", ['open(data.path, "a").write("!")', "__import__('os').remove(data.path)"])
async def test_a_task_that_alters_its_input_in_the_own_store(watch, order, deed):
    """It may not; root, whom nothing stops, is found out, and nobody is given what is left."""
    make = "def make(out: Output[Dataset]):\n    with open(out.path, 'w') as file:\n        file.write('content')\n"
    made = await outcome(watch, order(make, makes={"out": "system.Dataset"}))
    assert isinstance(made, Succeeded), made
    given = {"data": taken(made)["out"]}
    spoil = f"def spoil(data: Input[Dataset]) -> str:\n    {deed}\n    return 'spoilt'\n"
    end = await outcome(watch, order(spoil, path="spoil", artifacts=given, gives={"Output": "STRING"}))
    assert isinstance(end, Failed), end
    read = "def read(data: Input[Dataset]) -> str:\n    return open(data.path).read()\n"
    later = await outcome(watch, order(read, path="read", artifacts=given, gives={"Output": "STRING"}))
    if os.getuid() == 0:
        assert end.error.code == "INPUT_ALTERED"
        assert isinstance(later, Failed), later
        assert later.error.code in ("ARTIFACT_CORRUPT", "ARTIFACT_LOST")
    else:
        assert "PermissionError" in end.error.message
        assert later.parameters == {"Output": "content"}


@pytest.mark.parametrize(
    "kind", [pytest.param("container", marks=[pytest.mark.container, pytest.mark.slow])], indirect=True
)
async def test_a_command_is_given_paths_and_uris(watch, order, prefix, stores):
    first = await written(watch, order, prefix)
    later = prefix.replace("execution-1", "execution-2")
    script = 'cat "$0" > "$1"; echo "$2 $3" >> "$1"; test -f "$GIVEN"'
    asked = shell_order(
        script,
        "{{$.inputs.artifacts['given'].path}}",
        "{{$.outputs.artifacts['made'].path}}",
        "{{$.inputs.artifacts['given'].uri}}",
        "{{$.outputs.artifacts['made'].uri}}",
        image=PYTHON_IMAGE,
        path="command",
        env={"GIVEN": "{{$.inputs.artifacts['given'].path}}"},
        artifacts={"given": taken(first)["out"]},
        makes={"made": "system.Dataset"},
        artifact_prefix=later,
    )
    end = await outcome(watch, asked)
    assert isinstance(end, Succeeded), end
    (made,) = end.artifacts["made"]
    content = b"".join([chunk async for chunk in stores.open_read(made.uri, digest=made.digest)])
    assert content.decode() == f"content{prefix}/out {later}/made\n"
