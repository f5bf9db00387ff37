"""What is worth a line of a run that goes on."""

from __future__ import annotations

import io

import pytest

from factories import AT, LATER, a_change, a_node, a_reason, a_run, a_run_view, an_attempt, an_execution
from headrace.cli.board import MANY, Board
from headrace.cli.screen import LiveScreen, PlainScreen, screen_for
from headrace.cli.terminal import Paint, plain

PLAN = (
    a_node(
        "exit-handler-1",
        kind="DAG",
        group="exit-handler",
        children=[
            a_node("load"),
            a_node("for-loop-2", kind="LOOP", group="for-loop", children=[a_node("train")]),
            a_node("inner", kind="DAG", group="pipeline", children=[a_node("train")]),
        ],
    ),
    a_node("summarise"),
)


def a_board():
    return Board(a_run_view(*PLAN, run=a_run(state="RUNNING")))


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("summarise", "summarise"),
        ("exit-handler-1/load", "load"),
        ("exit-handler-1/for-loop-2[11]/train", "train[11]"),
        ("exit-handler-1/inner/train", "inner/train"),
        ("unknown[1]/x", "x[1]"),
    ],
)
def test_a_task_is_called_as_its_author_knows_it(path, label):
    assert a_board().label(an_execution(path)) == label


def test_each_thing_is_told_once():
    board = a_board()
    running = an_execution("summarise", state="RUNNING", attempts=[an_attempt()])
    assert [(line.label, line.word) for line in board.apply(a_change(running))] == [("summarise", "RUNNING")]
    assert board.apply(a_change(running)) == []
    ended = an_execution(
        "summarise",
        state="FAILED",
        attempts=[an_attempt(state="FAILED")],
        reason=a_reason(),
        started_at=AT,
        ended_at=LATER,
    )
    (line,) = board.apply(a_change(ended))
    assert (line.word, line.note, line.passing) == ("FAILED", "ValueError: no", False)
    assert board.apply(a_change(ended)) == []


def test_a_retry_tells_why_and_then_which_attempt_it_is():
    board = a_board()
    failed = an_attempt(state="FAILED", error=a_reason())
    waiting = an_execution("summarise", state="PENDING", attempts=[failed], retry_at=LATER)
    assert [(line.word, line.note) for line in board.apply(a_change(waiting))] == [
        ("RETRYING", "attempt 1 failed: ValueError: no")
    ]
    again = an_execution("summarise", state="RUNNING", attempts=[failed, an_attempt(2)])
    assert [(line.word, line.note) for line in board.apply(a_change(again))] == [("RUNNING", "attempt 2")]


def test_waiting_for_packages_is_told_and_waiting_for_a_slot_is_not():
    board = a_board()
    for code, words in (("WAITING_FOR_SLOT", []), ("BUILDING_ENVIRONMENT", ["WAITING"])):
        waiting = an_execution(
            "summarise", attempts=[an_attempt(state="PENDING", started_at=None, waiting=a_reason(code, "4 packages"))]
        )
        assert [line.word for line in board.apply(a_change(waiting))] == words
        assert bool(board.active) == bool(words)


def test_a_cached_task_says_so_and_a_skipped_one_why():
    board = a_board()
    cached = an_execution("summarise", state="SUCCEEDED", cached_from="other")
    skipped = an_execution("exit-handler-1/load", state="SKIPPED", reason=a_reason("CONDITION_FALSE", "1 > 2 is false"))
    lines = board.apply(a_change(cached, skipped))
    assert [(line.label, line.word, line.note) for line in lines] == [
        ("summarise", "SUCCEEDED", "cached"),
        ("load", "SKIPPED", "1 > 2 is false"),
    ]


def test_the_many_successes_of_a_large_loop_pass_without_a_line_of_their_own():
    board = a_board()
    for count, passing in ((MANY, False), (MANY + 1, True)):
        loop = an_execution("exit-handler-1/for-loop-2", kind="LOOP", state="RUNNING", iteration_count=count)
        path = f"exit-handler-1/for-loop-2[{count}]/train"
        one = an_execution(path, parent=path.rpartition("/")[0], state="SUCCEEDED")
        assert [line.passing for line in board.apply(a_change(loop, one))] == [passing]


def test_a_pipe_gets_one_line_an_event():
    stream = io.StringIO()
    board = a_board()
    ended = an_execution("summarise", state="SUCCEEDED", started_at=AT, ended_at=LATER)
    PlainScreen(stream).show(board, board.apply(a_change(ended)))
    assert stream.getvalue().split()[1:] == ["summarise", "SUCCEEDED", "3.5", "s"]
    assert isinstance(screen_for(stream, Paint.for_stream(stream)), PlainScreen)


def test_a_terminal_shows_what_goes_on_below_what_has_ended():
    stream = io.StringIO()
    board = a_board()
    screen = LiveScreen(stream, Paint(colours=True))
    running = an_execution("summarise", state="RUNNING", attempts=[an_attempt()])
    pending = an_execution("exit-handler-1/load")
    screen.show(board, board.apply(a_change(running, pending)))
    first = stream.getvalue()
    assert "summarise" in first
    assert "1 running, 1 waiting, 0 done" in plain(first)
    assert "paused" not in plain(first)
    ended = an_execution("summarise", state="SUCCEEDED", started_at=AT, ended_at=LATER)
    screen.show(board, board.apply(a_change(ended)))
    second = stream.getvalue().removeprefix(first)
    assert second.startswith("\x1b[2F\x1b[0J")
    assert "0 running, 1 waiting, 1 done" in plain(second)
    with screen.going(board):
        pass
    assert stream.getvalue().endswith("\x1b[1F\x1b[0J")


def test_counts_and_what_is_active_follow_each_change():
    board = a_board()

    def seen():
        return {state: count for state, count in board.counts.items() if count}, [task.path for task in board.active]

    waiting = an_execution("summarise", state="PENDING", attempts=[])
    running = an_execution("summarise", state="RUNNING", attempts=[an_attempt()])
    done = an_execution("summarise", state="SUCCEEDED", attempts=[an_attempt(state="SUCCEEDED")])
    loop = an_execution("exit-handler-1/for-loop-2", state="RUNNING", kind="LOOP")
    board.apply(a_change(waiting, loop))
    assert seen() == ({"PENDING": 1}, [])
    board.apply(a_change(running))
    board.apply(a_change(running))
    assert seen() == ({"RUNNING": 1}, ["summarise"])
    board.apply(a_change(done))
    assert seen() == ({"SUCCEEDED": 1}, [])
