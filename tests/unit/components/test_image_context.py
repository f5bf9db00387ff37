"""The folder of an image: which components go in, what is written, and what of the user's stays."""

from __future__ import annotations

import configparser
from pathlib import Path
from types import ModuleType

import pytest

from headrace.cli.usercode import import_file
from headrace.components.image_context import ContextError, context_of, write
from headrace.dsl import PythonComponent

COMPONENT = """
from headrace import dsl

@dsl.component(base_image="{base}", target_image="{target}", packages_to_install={packages})
def {name}():
    print(1)
"""


def components_of(module: ModuleType) -> list[PythonComponent]:
    return [value for value in vars(module).values() if isinstance(value, PythonComponent)]


def defined(
    folder: Path, file: str, name: str, *, base: str = "python:3.11", target: str = "r/i:1", packages: str = "[]"
) -> list[PythonComponent]:
    path = folder / file
    path.write_text(COMPONENT.format(name=name, base=base, target=target, packages=packages))
    return components_of(import_file(path))


def test_the_files_of_two_components(tmp_path: Path) -> None:
    found = [
        *defined(tmp_path, "first_part.py", "Load", packages="['b==1', 'a']"),
        *defined(tmp_path, "second_part.py", "train", packages="['a']"),
    ]
    context = context_of(tmp_path, found)
    written = write(context, overwrite_build_file=False, installed=["kfp==2.17.3"], copied=[])
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.suffix != ".pyc" and path.is_file()} == {
        *written, "first_part.py", "second_part.py",
    }  # fmt: skip
    config = configparser.ConfigParser()
    config.optionxform = str
    config.read(tmp_path / "kfp_config.ini")
    assert dict(config["Components"]) == {"Load": "first_part.py", "train": "second_part.py"}
    assert (tmp_path / "runtime-requirements.txt").read_text().splitlines()[-2:] == ["a", "b==1"]
    assert (tmp_path / "Dockerfile").read_text().splitlines()[2:4] == ["FROM python:3.11", ""]


def test_what_the_user_has_written_stays_unless_asked(tmp_path: Path) -> None:
    context = context_of(tmp_path, defined(tmp_path, "third_part.py", "train"))
    (tmp_path / "Dockerfile").write_text("FROM mine\n")
    (tmp_path / ".dockerignore").write_text("mine\n")
    written = write(context, overwrite_build_file=False, installed=[], copied=[])
    assert not {"Dockerfile", ".dockerignore"} & set(written)
    assert (tmp_path / "Dockerfile").read_text() == "FROM mine\n"
    assert "Dockerfile" in write(context, overwrite_build_file=True, installed=[], copied=[])
    assert "FROM python:3.11" in (tmp_path / "Dockerfile").read_text()
    assert (tmp_path / ".dockerignore").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        ({"name": "a"}, {"name": "b", "base": "python:3.12"}, "BASE_IMAGES_DIFFER"),
        ({"name": "a"}, {"name": "b", "target": "r/i:2"}, "TARGET_IMAGES_DIFFER"),
        ({"name": "a"}, {"name": "a"}, "COMPONENT_NAME_TWICE"),
    ],
)
def test_components_that_cannot_share_an_image(
    tmp_path: Path, one: dict[str, str], other: dict[str, str], code: str
) -> None:
    found = [*defined(tmp_path, "fourth_part.py", **one), *defined(tmp_path, "fifth_part.py", **other)]
    with pytest.raises(ContextError) as caught:
        context_of(tmp_path, found)
    assert caught.value.code == code


def test_components_without_a_target_image_or_of_another_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    outside = defined(tmp_path, "sixth_part.py", "a")
    with pytest.raises(ContextError, match="no component with a target image"):
        context_of(tmp_path / "inside", outside)
