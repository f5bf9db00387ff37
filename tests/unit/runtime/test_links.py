"""Links among a task's outputs become what they lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.runtime.links import replace_links


def _tree(path: Path) -> dict[str, str]:
    found = {}
    for folder, _, files in os.walk(path):
        for name in files:
            file = Path(folder, name)
            found[str(file.relative_to(path))] = f"-> {file.readlink()}" if file.is_symlink() else file.read_text()
    return found


@pytest.fixture
def output(tmp_path: Path) -> Path:
    made = tmp_path / "attempt" / "outputs" / "model"
    made.mkdir(parents=True)
    (made / "weights").write_text("w")
    return made


def test_links_inside_and_outside_become_content(output: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "deep").mkdir(parents=True)
    (cache / "deep" / "blob").write_text("b")
    (cache / "deep" / "again").symlink_to("blob")
    (output / "last").symlink_to("weights")
    (output / "blob").symlink_to(cache / "deep" / "again")
    (output / "cache").symlink_to(cache)
    replace_links(str(output))
    assert _tree(output) == {
        "weights": "w", "last": "w", "blob": "b", "cache/deep/blob": "b", "cache/deep/again": "b"
    }  # fmt: skip
    assert not any(path.is_symlink() for path in output.rglob("*"))
    assert (cache / "deep" / "again").is_symlink(), "what the links led to stays as it was"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_output_that_is_a_link(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "made"
    if kind == "folder":
        target.mkdir()
        (target / "x").write_text("1")
    else:
        target.write_text("1")
    (tmp_path / "out").symlink_to(target)
    replace_links(str(tmp_path / "out"))
    assert not (tmp_path / "out").is_symlink()
    assert (_tree(tmp_path / "out") if kind == "folder" else (tmp_path / "out").read_text()) in ({"x": "1"}, "1")


@pytest.mark.parametrize("target", ["nowhere", ".", "..", "self"])
def test_broken_links_and_circles_are_left(output: Path, target: str) -> None:
    (output / "self").symlink_to(target)
    replace_links(str(output))
    assert (output / "self").is_symlink()
    replace_links(str(output), within=str(output.parent.parent))
    assert (output / "self").is_symlink()


def test_the_server_follows_only_links_that_stay_among_the_attempt_s_own_files(output: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    work = output.parent.parent / "work"
    work.mkdir()
    (work / "big").write_text("b")
    (output / "last").symlink_to("weights")
    (output / "big").symlink_to("../../work/big")
    (output / "out").symlink_to(secret)
    (output / "hop").symlink_to("out")
    replace_links(str(output), within=str(output.parent.parent))
    assert _tree(output) == {
        "weights": "w", "last": "w", "big": "b", "out": f"-> {secret}", "hop": "-> out"
    }  # fmt: skip


def test_a_folder_elsewhere_that_holds_a_link_to_itself_is_copied_once(output: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "blob").write_text("b")
    (cache / "self").symlink_to(".")
    (output / "cache").symlink_to(cache)
    replace_links(str(output))
    assert _tree(output)["cache/blob"] == "b"
    assert (output / "cache" / "self").readlink() == cache, "a circle is left, for the store to refuse"


def test_links_of_a_folder_that_is_copied_lead_where_they_led(output: Path) -> None:
    shared = output.parent.parent / "work" / "deep"
    shared.mkdir(parents=True)
    (shared.parent / "blob").write_text("b")
    (shared / "link").symlink_to("../blob")
    (output / "shared").symlink_to(shared)
    replace_links(str(output), within=str(output.parent.parent))
    assert _tree(output) == {"weights": "w", "shared/link": "b"}
