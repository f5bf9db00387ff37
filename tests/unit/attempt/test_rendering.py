"""What becomes of placeholders in a container spec."""

from __future__ import annotations

import errno

import pytest

from headrace.attempt.order import ContainerOrder
from headrace.attempt.refusal import Refusal, system_refusal
from headrace.attempt.rendering import render_container, render_variables

DOCUMENT = {"inputs": {"parameterValues": {"rate": 0.5}}}
FACTS = {"pipeline_job_name": "nightly"}


def test_known_placeholders_are_replaced_everywhere() -> None:
    text = "{{$.pipeline_job_name}}/{{$.inputs.parameters['rate']}}"
    spec = ContainerOrder(image=text, command=(text,), args=(text,), env={"A": text}, resources={"cpu": text})
    done = render_container(spec, DOCUMENT, FACTS)
    assert {done.image, *done.command, *done.args, *done.env.values(), *done.resources.values()} == {"nightly/0.5"}


@pytest.mark.parametrize("value", ["{{$.nothing_known}}", "{{$.outputs.artifacts['gone'].path}}"])
def test_an_unknown_placeholder_leaves_a_variable_as_it_is(value: str) -> None:
    spec = ContainerOrder(image="i", env={"A": value, "B": "{{$.pipeline_job_name}}"})
    assert render_variables(spec, DOCUMENT, FACTS) == {"A": value, "B": "nightly"}
    assert render_container(spec, DOCUMENT, FACTS).env["A"] == value


def test_a_placeholder_that_is_not_ours_stays_in_a_command() -> None:
    spec = ContainerOrder(image="i", command=("{{$.nothing_known}} of {{$.pipeline_job_name}}",))
    assert render_container(spec, DOCUMENT, FACTS).command == ("{{$.nothing_known}} of nightly",)


def test_an_unknown_input_in_a_command_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        render_container(ContainerOrder(image="i", command=("{{$.outputs.artifacts['x'].path}}",)), DOCUMENT, FACTS)
    assert caught.value.reason.code == "PLACEHOLDER_UNKNOWN"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM])
def test_what_the_machine_lacks_for_a_moment_is_not_the_task_s_failure(number: int) -> None:
    assert system_refusal(OSError(number, "x"), "It could not start").passing
    assert not system_refusal(OSError(errno.EACCES, "x"), "It could not start").passing
