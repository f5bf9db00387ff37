"""`@dsl.component(requirements=..., project=...)`: packages from the files that projects keep them in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.dsl.errors import DslError
from headrace.spec.bootstrap import PythonEntry, recognise
from unit.dsl.projects import load, project, write

TXT = 'requirements="requirements.txt"'


def wanted(path: Path) -> PythonEntry:
    """What the document asks to be installed, as recognised by whoever runs it."""
    container = load(path).f.component_spec.implementation
    entry = recognise(container.command, container.args)
    assert entry is not None
    assert entry.kfp_requirement == "kfp==2.17.3"
    return entry


def refusal(path: Path) -> DslError:
    with pytest.raises(DslError) as caught:
        load(path)
    assert caught.value.hint
    return caught.value


# requirements files


def test_a_requirements_file_becomes_plain_requirements(tmp_path):
    path = project(
        tmp_path,
        TXT + ', packages_to_install=["first", "six==1.17.0"]',
        requirements_DOT_txt=r"""
            # a comment
            six==1.17.0 \
                --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274 \
                --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81
            numpy >= 2, <3  # why
            tomli==2.0 ; python_version < '3.11'
            pkg[extra1,extra2]~=1.0
            tool @ https://example.org/tool-1.0-py3-none-any.whl#sha256=00
            git+https://example.org/x.git@v1
            --pre
            -r more/base.txt
            plain
        """,
        more_SL_base_DOT_txt="--requirement=again.txt\nbase==1\n-r ../requirements.txt\n",
        more_SL_again_DOT_txt="again==2\n",
    )
    entry = wanted(path)
    assert entry.requirements == (
        "first", "six==1.17.0", "numpy >= 2, <3", 'tomli==2.0 ; python_version < "3.11"', "pkg[extra1,extra2]~=1.0",
        "tool @ https://example.org/tool-1.0-py3-none-any.whl#sha256=00", "git+https://example.org/x.git@v1",
        "--pre", "again==2", "base==1", "plain",
    )  # fmt: skip
    assert (entry.index_urls, entry.trusted_hosts) == ((), ())


def test_what_it_says_of_indexes_is_kept_and_no_index_is_trusted_blindly(tmp_path):
    text = (
        "-i https://one.example/simple\n--extra-index-url https://two.example/simple\n--trusted-host=two.example\na\n"
    )
    entry = wanted(project(tmp_path, TXT, requirements_DOT_txt=text))
    assert entry.index_urls == ("https://one.example/simple", "https://two.example/simple")
    assert entry.trusted_hosts == ("two.example",)
    entry = wanted(project(tmp_path, TXT, requirements_DOT_txt="--index-url https://one.example/simple\na\n"))
    assert (entry.index_urls, entry.trusted_hosts) == (("https://one.example/simple",), ())
    entry = wanted(project(tmp_path, TXT, requirements_DOT_txt="--extra-index-url https://two.example/simple\na\n"))
    assert (entry.index_urls, entry.requirements) == ((), ("--extra-index-url=https://two.example/simple", "a"))


def test_the_same_packages_by_file_or_by_hand_are_the_same_document(tmp_path):
    by_file = load(project(tmp_path, TXT, requirements_DOT_txt="six==1.17.0\nidna\n")).f
    by_hand = load(project(tmp_path, 'packages_to_install=["six==1.17.0", "idna"]')).f
    assert by_file.component_spec.implementation == by_hand.component_spec.implementation


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("\na==1\n-e .\n", "REQUIREMENT_LOCAL", ":3: '.' is on this machine"),
        ("./lib\n", "REQUIREMENT_LOCAL", ":1: "),
        ("lib/thing.whl\n", "REQUIREMENT_LOCAL", ":1: "),
        ("thing-1.0-py3-none-any.whl\n", "REQUIREMENT_LOCAL", ":1: "),
        ("a @ file:///srv/a.whl\n", "REQUIREMENT_LOCAL", ":1: "),
        ("-c constraints.txt\n", "REQUIREMENT_INVALID", "the option -c"),
        ("--find-links=/srv\n", "REQUIREMENT_INVALID", "--find-links=/srv"),
        ("a==1\nb c\n", "REQUIREMENT_INVALID", ":2: "),
        ("$(id)\n", "REQUIREMENT_INVALID", ":1: "),
        ("-i https://x.example/$(id)\n", "REQUIREMENT_INVALID", ":1: "),
        ("a==1 --config-settings=x=y\n", "REQUIREMENT_INVALID", ":1: "),
        ("a\x07==1\n", "REQUIREMENT_INVALID", ":1: "),
        ("--index-url https://me:secret@x.example/simple\n", "REQUIREMENT_SECRET", ":1: "),
        ("--index-url https://${TOKEN}@x.example/simple\n", "REQUIREMENT_SECRET", ":1: "),
        ("a @ https://token@x.example/a.whl\n", "REQUIREMENT_SECRET", ":1: "),
        ("-r gone.txt\n", "REQUIREMENTS_NOT_FOUND", ":1: "),
    ],
)
def test_refused_with_the_line_of_the_requirements_file(tmp_path, text, code, told):
    error = refusal(project(tmp_path, TXT, requirements_DOT_txt=text))
    assert error.code == code, str(error)
    assert str(error).startswith(f"{tmp_path}/requirements.txt:")
    assert told in str(error)
    assert "secret@" not in str(error) and "token@" not in str(error)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    error = refusal(project(tmp_path, TXT))
    assert (error.code, str(error.location)) == ("REQUIREMENTS_NOT_FOUND", f"{tmp_path}/pipe.py:4")
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfe\x00")
    assert refusal(tmp_path / "pipe.py").code == "REQUIREMENT_INVALID"
    (tmp_path / "requirements.txt").write_bytes(b"a\n" * 600_000)
    assert "larger" in str(refusal(tmp_path / "pipe.py"))


# projects

PYPROJECT = """
[project]
name = "mine"
version = "1"
requires-python = ">=3.11"
dependencies = ["six>=1.16", "tomli; python_version < '3'", "headrace", "kfp>=2"]

[dependency-groups]
dev = ["pytest"]
"""
LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "mine"
version = "1"
source = { editable = "." }
dependencies = [{ name = "six" }, { name = "headrace" }, { name = "kfp" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[package.metadata]
requires-dist = [{ name = "six", specifier = ">=1.16" }, { name = "headrace" }, { name = "kfp", specifier = ">=2" }]

[package.metadata.requires-dev]
dev = [{ name = "pytest" }]

[[package]]
name = "headrace"
version = "0.1.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "msgspec" }]

[[package]]
name = "kfp"
version = "2.17.3"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "msgspec"
version = "0.20.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "pytest"
version = "8.0.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://pypi.org/simple" }
"""


def test_a_locked_project_gives_exact_versions_without_what_a_task_has_anyway(tmp_path):
    path = project(tmp_path, 'project="."', pyproject_DOT_toml=PYPROJECT, uv_DOT_lock=LOCK)
    entry = wanted(path)
    assert entry.requirements == ('colorama==0.4.6 ; sys_platform == "win32"', "six==1.17.0")
    before = (tmp_path / "uv.lock").read_bytes()
    (tmp_path / "uv.lock").write_text(LOCK.replace("1.17.0", "1.16.0"))
    assert "six==1.16.0" in wanted(path).requirements
    assert len(before) == (tmp_path / "uv.lock").stat().st_size


def test_without_a_lock_it_is_what_the_project_asks_for_with_a_warning(tmp_path):
    path = project(tmp_path, 'project="pyproject.toml"', pyproject_DOT_toml=PYPROJECT)
    with pytest.warns(UserWarning, match=r"Versions are not exact, because there is no uv\.lock") as told:
        entry = wanted(path)
    assert (told[0].filename, told[0].lineno) == (str(path), 4)
    assert entry.requirements == ("six>=1.16", 'tomli; python_version < "3"')


def test_without_uv_the_lock_is_not_read_and_this_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.dsl.packages._uv", lambda: None)
    path = project(tmp_path, 'project="."', pyproject_DOT_toml=PYPROJECT, uv_DOT_lock=LOCK)
    with pytest.warns(UserWarning, match="the program uv is not here"):
        assert "six>=1.16" in wanted(path).requirements


@pytest.mark.parametrize(
    ("pyproject", "lock", "code"),
    [
        (None, None, "PROJECT_NOT_FOUND"),
        ("not = [toml", None, "PROJECT_INVALID"),
        ('[project]\nname="a"\ndynamic = ["dependencies"]', None, "PROJECT_INVALID"),
        ('[project]\nname="a"\ndependencies = 3', None, "PROJECT_INVALID"),
        ('project = "a"', None, "PROJECT_INVALID"),
        (PYPROJECT, "broken = ", "PROJECT_LOCK_FAILED"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Versions are not exact")
def test_refused_projects(tmp_path, pyproject, lock, code):
    path = project(tmp_path, 'project="."')
    if pyproject is not None:
        write(tmp_path, "pyproject.toml", pyproject)
    if lock is not None:
        write(tmp_path, "uv.lock", lock)
    error = refusal(path)
    assert error.code == code, str(error)
    assert str(error.location) == f"{path}:4"


def test_a_dependency_on_this_machine_is_refused(tmp_path):
    lock = LOCK.replace(
        'name = "colorama"\nversion = "0.4.6"\nsource = { registry = "https://pypi.org/simple" }',
        'name = "colorama"\nversion = "0.4.6"\nsource = { directory = "lib" }',
    )
    path = project(tmp_path, 'project="."', pyproject_DOT_toml=PYPROJECT, uv_DOT_lock=lock)
    assert refusal(path).code == "REQUIREMENT_LOCAL"


def test_uv_is_there() -> None:
    from headrace.dsl.packages import _uv

    assert shutil.which(_uv() or "")
