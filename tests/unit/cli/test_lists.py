"""A run is found by the beginning of its id, over all pages; where several fit, none is taken."""

from __future__ import annotations

import pytest

from factories import a_run
from headrace.cli.errors import CliError
from headrace.cli.lists import resolve
from headrace.wire.api import RunList, RunSummary


class Pages:
    """The client's `list_runs`, one run on each page."""

    def __init__(self, runs: list[RunSummary]) -> None:
        self.runs = runs

    def list_runs(self, *, page_size: int = 20, page_token: str = "") -> RunList:
        at = int(page_token or 0)
        more = str(at + 1) if at + 1 < len(self.runs) else ""
        return RunList(runs=self.runs[at : at + 1], total_size=len(self.runs), next_page_token=more)


def client(*names: str) -> Pages:
    return Pages(
        [a_run(run_id=f"{start}-{'0' * 27}", display_name=name) for start, _, name in (n.partition(" ") for n in names)]
    )


RUNS = client("aaaa1111 first", "aaab2222 second", "bbbb3333 training")


@pytest.mark.parametrize(
    ("text", "start"), [("last", "aaaa1111"), ("latest", "aaaa1111"), ("aaab", "aaab2222"), ("BBBB33", "bbbb3333")]
)
def test_a_run_is_found(text: str, start: str) -> None:
    assert resolve(RUNS, text).startswith(start)


def test_a_whole_id_is_not_looked_up() -> None:
    assert resolve(client(), "f" * 36) == "f" * 36


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("aaa", "RUN_AMBIGUOUS", "2 runs have ids that begin with 'aaa'"),
        ("train", "RUN_NOT_FOUND", "There is no run whose id begins with 'train'"),
    ],
)
def test_no_run_is_guessed(text: str, code: str, words: str) -> None:
    with pytest.raises(CliError, match=words) as caught:
        resolve(RUNS, text)
    assert caught.value.code == code


def test_a_name_or_a_slip_gets_a_suggestion() -> None:
    for text in ("training", "bbbb3334"):
        with pytest.raises(CliError) as caught:
            resolve(RUNS, text)
        assert caught.value.fix == "Did you mean bbbb3333 (training)?"


def test_without_any_run_the_last_one_does_not_exist() -> None:
    with pytest.raises(CliError, match="There is no run yet"):
        resolve(client(), "last")
