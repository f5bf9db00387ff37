"""`@dsl.component(code=...)`: which files travel, as which bytes, and what is refused."""

from __future__ import annotations

import base64
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.dsl import code as module
from headrace.dsl.errors import DslError
from unit.dsl.projects import HELPER, load, project, write

MARK = "--headrace-code="


def arguments_of(path: Path) -> list[str]:
    return load(path).f.component_spec.implementation.args


def packed_of(path: Path) -> bytes:
    return base64.b64decode("".join(word.removeprefix(MARK) for word in arguments_of(path) if word.startswith(MARK)))


def names_in(path: Path) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed_of(path)), mode="r:gz") as tar:
        return tar.getnames()


def refusal(code: str, path: Path) -> DslError:
    with pytest.raises(DslError) as caught:
        load(path)
    assert caught.value.code == code, str(caught.value)
    assert caught.value.hint
    return caught.value


def refusal_at(code: str, path: Path) -> str:
    """A refusal that names the line of the component in the user's file."""
    error = refusal(code, path)
    assert str(error.location) == f"{path}:4"
    return str(error)


# which files


def test_a_folder_brings_what_is_in_it_and_none_of_what_never_belongs(tmp_path):
    path = project(
        tmp_path,
        pkg_SL___init___DOT_py="",
        pkg_SL_data_DOT_json="{}",
        _DOT_env="TOKEN=1",
        _DOT_git_SL_config="x",
        _DOT_venv_SL_lib_DOT_py="x",
        __pycache___SL_a_DOT_pyc="x",
        node_modules_SL_a_DOT_py="x",
        my_env_SL_pyvenv_DOT_cfg="x",
        my_env_SL_lib_DOT_py="x",
        notes_DOT_ipynb="{}",
        key_DOT_pem="x",
        pipe_DOT_yaml="components: {}\npipelineInfo: {}\nschemaVersion: 2.1.0\n",
        local_outputs_SL_a_DOT_txt="x",
    )
    assert names_in(path) == ["helper.py", "pipe.py", "pkg/__init__.py", "pkg/data.json"]


def test_a_list_brings_packages_and_modules_under_their_own_names(tmp_path):
    path = project(
        tmp_path / "app", 'code=["../lib/pkg", "helper.py", "spaces"]', other_DOT_py="x = 1", spaces_SL_a_DOT_py="",
    )  # fmt: skip
    write(tmp_path, "lib/pkg/__init__.py", "")
    assert names_in(path) == ["helper.py", "pkg/__init__.py", "spaces/a.py"]


def test_a_folder_that_is_a_package_keeps_its_name_and_a_path_will_do(tmp_path):
    path = project(tmp_path, 'code=__import__("pathlib").Path("pkg")', pkg_SL___init___DOT_py="")
    assert names_in(path) == ["pkg/__init__.py"]


def test_paths_are_relative_to_the_file_not_to_where_one_stands(tmp_path, monkeypatch):
    path = project(tmp_path / "project")
    monkeypatch.chdir("/")
    assert names_in(path) == ["helper.py", "pipe.py"]


def test_links_inside_are_followed_and_links_out_stay_behind_with_a_warning(tmp_path):
    path = project(tmp_path / "project", real_SL_a_DOT_py="a = 1")
    write(tmp_path, "secret/key.txt", "secret")
    (tmp_path / "project/link").symlink_to("real")
    (tmp_path / "project/circle").symlink_to(".")
    (tmp_path / "project/real/up").symlink_to("..")
    (tmp_path / "project/out").symlink_to(tmp_path / "secret")
    (tmp_path / "project/passwd").symlink_to("/etc/passwd")
    (tmp_path / "project/gone").symlink_to("nowhere")
    with pytest.warns(UserWarning, match=r"Not shipped.*out \(a link.*passwd \(a link"):
        names = names_in(path)
    assert names == ["helper.py", "link/a.py", "pipe.py", "real/a.py"]


def test_pipes_and_sockets_are_not_read(tmp_path):
    path = project(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert names_in(path) == ["helper.py", "pipe.py"]


def test_names_of_every_alphabet_travel(tmp_path, monkeypatch):
    path = project(tmp_path)
    os.mkdir(tmp_path / "données")
    for name in ("données/größe 日本.txt", "x" * 200 + ".txt", os.fsdecode(b"\xff.txt")):
        (tmp_path / name).write_bytes(b"x")
    assert len(names_in(path)) == 5
    assert "données/größe 日本.txt" in names_in(path)


def test_large_data_stays_behind_with_a_warning_unless_it_is_named(tmp_path):
    path = project(tmp_path)
    (tmp_path / "data.bin").write_bytes(bytes(module.MAX_DATA_BYTES + 1))
    with pytest.warns(UserWarning, match=r"data\.bin \(1\.0 MB of data\)"):
        assert "data.bin" not in names_in(path)
    path = project(tmp_path, 'code=["helper.py", "data.bin"]')
    assert names_in(path) == ["data.bin", "helper.py"]


# as which bytes


def test_the_same_content_gives_the_same_document_whatever_is_around_it(tmp_path):
    path = project(tmp_path / "one", pkg_SL___init___DOT_py="", pkg_SL_b_DOT_py="", pkg_SL_a_DOT_py="")
    texts = set()
    for seed in range(10):
        copy = tmp_path / f"copy{seed}"
        shutil.copytree(path.parent, copy)
        for file in copy.rglob("*"):
            os.utime(file, (seed * 1e8, seed * 1e8))
            file.chmod(0o777 if seed % 2 else 0o700)
        done = subprocess.run(
            [sys.executable, "-c", "from headrace.cli.main import main; main()", "compile", str(copy / "pipe.py"), "-o", "-"],
            cwd=tmp_path if seed % 2 else copy, env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        texts.add(done.stdout)
    assert len(texts) == 1
    assert MARK in texts.pop()


def test_another_helper_is_another_document(tmp_path):
    path = project(tmp_path)
    before = load(path).f.component_spec.implementation
    assert load(path).f.component_spec.implementation == before
    (tmp_path / "helper.py").write_text(HELPER.replace("!", "?"))
    after = load(path).f.component_spec.implementation
    assert after.command != before.command
    assert after.args != before.args


def test_the_archive_says_nothing_of_this_machine(tmp_path):
    packed = packed_of(project(tmp_path))
    assert packed[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for member in tar:
            assert (member.mode, member.mtime, member.uid, member.gid, member.uname, member.gname) == (
                0o644, 0, 0, 0, "", "",
            )  # fmt: skip
    assert zlib.decompress(packed, 31)[:9] == b"helper.py"


def test_no_argument_is_longer_than_linux_takes(tmp_path):
    path = project(tmp_path)
    (tmp_path / "noise.txt").write_bytes(random.Random(1).randbytes(300_000))
    words = [word for word in arguments_of(path) if word.startswith(MARK)]
    assert len(words) == 5
    assert max(map(len, words)) < 131_072
    assert "noise.txt" in names_in(path)


def test_components_with_the_same_code_bring_the_same_archive(tmp_path):
    path = project(tmp_path)
    path.write_text(path.read_text() + path.read_text().replace("def f", "def g"))
    loaded = load(path)
    assert loaded.f.component_spec.implementation.args[4:] == loaded.g.component_spec.implementation.args[4:]


def test_without_code_nothing_changes(tmp_path):
    loaded = load(write(tmp_path, "p.py", "from headrace import dsl\n@dsl.component\ndef f() -> int:\n    return 1\n"))
    implementation = loaded.f.component_spec.implementation
    assert len(implementation.args) == 4
    assert "headrace" not in " ".join(implementation.command)


# beside the task


def test_test_and_inline_need_no_archive(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load(project(tmp_path)).f.test(text="now").output == "NOW!"


def test_embedded_files_travel_beside_the_code(tmp_path):
    path = project(tmp_path, 'code=["helper.py"], embedded_artifact_path=__file__')
    text = load(path).f.component_spec.implementation.command[-1]
    assert "__HEADRACE_CODE_SHA256" in text and "__KFP_EMBEDDED_ARCHIVE_B64" in text
    compile(text, "source", "exec")


# refusals


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ('code="nowhere"', "CODE_NOT_FOUND", "no {folder}/nowhere"),
        ('code=["helper.py", 3]', "CODE_INVALID", "3"),
        ("code=True", "CODE_INVALID", "True"),
        ('code=b"."', "CODE_INVALID", "b'.'"),
        ("code=[]", "CODE_EMPTY", "no Python files"),
        ('code="data"', "CODE_EMPTY", "no Python files"),
        ('code=["helper.py", "sub/helper.py"]', "CODE_NAME_TWICE", "'helper.py'"),
        ('code=["helper.py", "/proc/self/mem"]', "CODE_UNREADABLE", "Input/output error"),
        ('code=["/dev/null"]', "CODE_INVALID", "/dev/null"),
        ('code=".", target_image="me:1"', "CODE_IN_IMAGE", "target_image"),
    ],
)
def test_refused(tmp_path, options, code, told):
    path = project(tmp_path, options, data_SL_a_DOT_txt="", sub_SL_helper_DOT_py="")
    assert told.format(folder=tmp_path) in refusal_at(code, path)


def too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(module, "MAX_FILES", 1)
    return "more than 1 files"


def too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 250_000)
    (folder / "noise.txt").write_bytes(random.Random(1).randbytes(300_000))
    return "noise.txt (0.3 MB)"


def too_large_compressed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(module, "MAX_BYTES", 250_000)
    (folder / "noise.txt").write_bytes(random.Random(1).randbytes(300_000))
    return "0.3 MB compressed, at most 0.2 MB can. The largest files: noise.txt (0.3 MB), "


@pytest.mark.parametrize("make", [too_many, too_much, too_large_compressed])
def test_too_large_names_the_largest_files(tmp_path, monkeypatch, make: Callable[..., str]):
    path = project(tmp_path)
    told = make(tmp_path, monkeypatch)
    assert told in refusal_at("CODE_TOO_LARGE", path)


def test_what_kubernetes_may_refuse_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WARN_BYTES", 100)
    with pytest.warns(UserWarning, match=r"The component's code is large \(0\.[0-9] kB compressed\)") as told:
        load(project(tmp_path))
    assert (told[0].filename, told[0].lineno) == (str(tmp_path / "pipe.py"), 4)


def test_a_helper_used_from_outside_is_still_refused_and_the_hint_says_where_to_import_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = project(tmp_path, shouting_DOT_py=HELPER)
    text = path.read_text().replace("    from helper import shout\n", "")
    path.write_text("from shouting import shout\n" + text)
    assert "`from shouting import shout`" in str(refusal("NAME_LEFT_BEHIND", path))
