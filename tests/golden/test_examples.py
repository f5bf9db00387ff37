"""What each example compiles to is kept beside it: a change of the compiler shows as a difference to review."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import EXAMPLES
from headrace.cli.main import call

PIPELINES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def compiled(source: Path, tmp_path: Path) -> str:
    target = tmp_path / "out.yaml"
    assert call(["compile", str(source), "-o", str(target)]) == 0
    return target.read_text()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.kfp if "kfp" in name else ()) for name in PIPELINES]
)
def test_an_example_compiles_to_the_document_beside_it(name: str, tmp_path: Path, golden):
    golden(EXAMPLES / f"{name}.yaml", compiled(EXAMPLES / f"{name}.py", tmp_path))


@pytest.mark.kfp
@pytest.mark.parametrize("name", [name for name in PIPELINES if "kfp" not in name])
def test_kfp_compiles_it_to_the_same_document(name: str, tmp_path: Path):
    stock = tmp_path / f"{name}.py"
    stock.write_text((EXAMPLES / f"{name}.py").read_text().replace("from headrace import dsl", "from kfp import dsl"))
    ours = compiled(EXAMPLES / f"{name}.py", tmp_path)
    assert without_what_may_differ(compiled(stock, tmp_path)) == without_what_may_differ(ours)


@pytest.mark.parametrize("name", PIPELINES)
def test_nothing_is_wrong_with_it(name: str, capsys):
    assert call(["lint", str(EXAMPLES / f"{name}.yaml")]) == 0
    assert "nothing wrong" in capsys.readouterr().out


def without_what_may_differ(text: str) -> list[str]:
    """`sdkVersion`, and kfp's comment, in which it shuffles the keys of defaults."""
    return [line for line in text.splitlines() if not line.startswith(("#", "sdkVersion:"))]
