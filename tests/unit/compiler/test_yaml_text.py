"""The YAML writer writes the same bytes as PyYAML's emitter, which is what kfp's compiler uses."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import yaml

from headrace.compiler.yaml_text import dump_all

#: Texts that PyYAML quotes, folds or escapes for one rule each.
HARD_TEXTS = (
    "", " ", "\n", "a ", " a", "a\n", "\na", "a \nb", "a\n b", "a\n\nb", "a: b", "a:", "a :b", "a #b", "a# b", "#a",
    "- a", "-", "-a", "? a", "?", ": a", ":a", "---", "--- a", "...", "...a", "a---", "[a]", "{a}", "a, b", "&a", "*a",
    "!a", "|", ">", "'", "it's", '"', 'say "a"', "%a", "@a", "`a`", "\\", "a\\b", "\t", "a\tb", "\x00", "\x07", "\x1b",
    "\x7f", "\x85", "a\x85b", "\xa0", "é", "ß 日本", "\u2028", "a\u2029b", "\ufeff", "\ud7ff", "😀 a", "null", "Null",
    "~", "true", "Yes", "off", "n", "y", "1", "-1", "+1", "1_000", "0x1F", "0b1", "017", "09", "1.5", "1e5", "1.0e+5",
    "1e+5", ".5", "-.inf", ".nan", ".", "1:30", "190:20:30", "190:20:30.15", "2024-01-31", "2024-1-31",
    "2024-01-31T10:00:00Z", "2024-01-31 10:00:00", "<<", "=", "{{$.inputs.parameters['v']}}",
    "inputs.parameter_values['v'] == 'a'", "python3 -m pip install 'kfp==2.1' && \"$0\" \"$@\"\n",
)  # fmt: skip
_NUMBERS = (0, -1, 7, 2**63, 0.0, -0.0, 1.5, 1e5, 1e16, 1e-7, 1e300, float("inf"), float("-inf"), True, False, None)
_LETTERS = "abcdefgh  \n'\"\\:#-é\t😀,"


def random_text(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(HARD_TEXTS)
    if kind < 0.6:
        return " ".join(rng.choice(HARD_TEXTS) for _ in range(rng.randint(1, 4)))
    if kind < 0.8:  # words, long enough to be folded
        return " ".join("w" * rng.randint(1, 30) for _ in range(rng.randint(1, 30)))
    return "".join(rng.choice(_LETTERS) for _ in range(rng.choice((3, 20, 100, 200))))


def random_value(rng: Random, depth: int) -> Any:
    kind = rng.random() if depth else rng.uniform(0.5, 1)
    size = rng.randint(0, 4)
    if kind < 0.3:
        return {random_text(rng): random_value(rng, depth - 1) for _ in range(size)}
    if kind < 0.5:
        return [random_value(rng, depth - 1) for _ in range(size)]
    return rng.choice(_NUMBERS) if kind < 0.6 else random_text(rng)


def differing(seed: int) -> tuple[Any, str, str] | None:
    """A random list of documents that the two writers do not write alike."""
    rng = Random(seed)
    documents = [random_value(rng, rng.randint(0, 5)) for _ in range(rng.choice((1, 1, 2)))]
    # Shared values would become anchors in PyYAML; a compiled document has none.
    theirs = "---\n".join(_pyyaml(document) for document in documents)
    mine = dump_all(documents)
    return None if mine == theirs else (documents, mine, theirs)


class _NoAnchors(yaml.Dumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _pyyaml(document: Any) -> str:
    text: str = yaml.dump(document, Dumper=_NoAnchors, sort_keys=True, default_flow_style=False)
    # PyYAML ends a document that is one plain scalar with a line of its own, so that it can go on in a stream.
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_a_hard_text_as_value_as_key_and_in_a_list(text: str) -> None:
    for document in ({"k": text}, {text: "v"}, [text], {"k": [text, {"n": text}]}, {"k" * 60 + " " + "l" * 30: text}):
        assert dump_all([document]) == _pyyaml(document)
        assert yaml.safe_load(dump_all([document])) == document


@pytest.mark.parametrize("length", [121, 122, 123, 124, 126, 128, 130])
@pytest.mark.parametrize("value", ["v", {}, {"a": 1}, [], ["a"], [["a"], {"b": "c"}]])
def test_a_long_key(length: int, value: Any) -> None:
    document = {"outer": {"k" * length: value}, "k" * length: value}
    assert dump_all([document]) == _pyyaml(document)


def test_random_documents() -> None:
    assert [seed for seed in range(500) if differing(seed)] == []


@pytest.mark.slow
def test_many_random_documents() -> None:
    assert [seed for seed in range(500, 20_000) if differing(seed)] == []
