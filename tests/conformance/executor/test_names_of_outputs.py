"""The names that components choose for their outputs, the URIs that they see, and outputs that they never write."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from headrace.engine.model import Artifact, ArtifactType
from headrace.executors.port import Succeeded

pytestmark = pytest.mark.anyio


@pytest.fixture
async def watch(home, open_watch):
    return open_watch(home)


@pytest.fixture
def order(order, home):
    """An order whose artifacts go where the engine says."""

    def made(source, **more):
        path = more.get("path", "task")
        return order(source, artifact_prefix=f"file://{home}/artifacts/run/{path}/1", **more)

    return made


async def outcome(watch, order):
    await watch.executor.launch(order)
    return await watch.end_of(order.attempt)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("m.path = m.path + '.keras'", "m.keras"),
        ("m.path += '.csv.gz'", "m.csv.gz"),
        ("m.uri += '.bst'", "m.bst"),
        ("m.uri = dsl.get_uri('deep/down.txt')", "deep/down.txt"),
        ("m.path = os.path.join(m.path, 'part-0')", "m/part-0"),
        ("pass", "m"),
    ],
)
async def test_the_chosen_name_is_kept_and_the_uri_is_the_final_one(watch, order, kind, body, name):
    source = f"""
    def make(m: Output[Model]) -> str:
        import os
        {body}
        os.makedirs(os.path.dirname(m.path), exist_ok=True)
        with open(m.path, "w") as file:
            file.write("x")
        return m.uri
    """
    end = await outcome(watch, order(source, makes={"m": "system.Model"}, gives={"Output": "STRING"}))
    assert isinstance(end, Succeeded), end
    (made,) = end.artifacts["m"]
    assert made.uri.endswith(f"/1/{name}")
    assert Path(made.uri.removeprefix("file://")).read_text() == "x"
    if kind != "container":  # a container does not see where the content will lie
        assert made.uri == f"file://{end.parameters['Output']}"


async def test_two_outputs_may_choose_one_name_in_folders_of_their_own(watch, order):
    source = """
    def make(a: Output[Model], b: Output[Model]):
        import os
        for one in (a, b):
            folder = f"{os.path.dirname(one.path)}/of-{one.name}"
            os.mkdir(folder)
            one.path = f"{folder}/model.pkl"
            with open(one.path, "w") as file:
                file.write(one.name)
    """
    end = await outcome(watch, order(source, makes={"a": "system.Model", "b": "system.Model"}))
    assert isinstance(end, Succeeded), end
    paths = {name: Path(end.artifacts[name][0].uri.removeprefix("file://")) for name in "ab"}
    assert {name: path.read_text() for name, path in paths.items()} == {"a": "a", "b": "b"}
    assert [path.name for path in paths.values()] == ["model.pkl", "model.pkl"]


@pytest.mark.parametrize(("beside", "words"), [("", "was never written."), (".pkl", "'m.pkl', which is lost")])
async def test_an_output_that_was_never_written_is_not_there(watch, order, beside, words):
    source = f"""
    def make(m: Output[Model], n: Output[Metrics]):
        m.metadata["a"] = 1
        if {beside!r}:
            open(m.path + {beside!r}, "w").close()
    """
    end = await outcome(watch, order(source, makes={"m": "system.Model", "n": "system.Metrics"}))
    assert isinstance(end, Succeeded), end
    (made,) = end.artifacts["m"]
    assert (made.digest, made.owned, made.metadata) == ("", False, {"a": 1})
    assert words in made.not_written
    assert end.artifacts["n"][0].not_written == "", "metrics are their metadata"
    given = Artifact(
        artifact_id="m", name="m", type=ArtifactType(), uri=made.uri, not_written=made.not_written
    )  # fmt: skip
    look = "def look(m: Input[Model]) -> str:\n    import os\n    return str(os.path.lexists(m.path))\n"
    end = await outcome(watch, order(look, path="look", artifacts={"m": (given,)}, gives={"Output": "STRING"}))
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"Output": "False"}


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_a_hard_link_leaves_the_author_s_own_file_as_it_was(watch, order, tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("mine")
    own.chmod(0o644)
    source = f"""
    def make(a: Output[Model], b: Output[Model]):
        import os
        os.link({str(own)!r}, a.path)
        os.mkdir(b.path)
        os.link({str(own)!r}, b.path + "/x")
    """
    end = await outcome(watch, order(source, makes={"a": "system.Model", "b": "system.Model"}))
    assert isinstance(end, Succeeded), end
    assert (own.stat().st_nlink, own.stat().st_mode & 0o777) == (1, 0o644)
    own.write_text("changed")
    stored = Path(end.artifacts["a"][0].uri.removeprefix("file://"))
    assert (stored.read_text(), os.stat(stored).st_mode & 0o222) == ("mine", 0)  # noqa: PTH116


async def test_a_variable_whose_name_no_shell_passes_on_reaches_the_task(watch, order):
    source = """
    def look() -> str:
        import os
        return " ".join(os.environ.get(name, "unset") for name in ("my-var", "my.var", "MY_VAR"))
    """
    asked = order(source, gives={"Output": "STRING"})
    variables = {"my-var": "a b", "my.var": "$HOME", "MY_VAR": "c"}
    container = msgspec.structs.replace(asked.container, env={**asked.container.env, **variables})
    end = await outcome(watch, msgspec.structs.replace(asked, container=container))
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"Output": "a b $HOME c"}
