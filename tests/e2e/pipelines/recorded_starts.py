"""Five shapes of pipelines whose tasks write down each start of their code, beyond the reach of any server.

A line of the ledger is the directory of the attempt: run, execution and number.
"""

from headrace import dsl


@dsl.component(base_image="python:3.11")
def note(
    ledger: str, text: str, made: dsl.Output[dsl.Dataset], hold: str = "", fail_first: bool = False, before: str = ""
) -> str:
    """With `hold`, only ends once that file is there."""
    import os
    import time

    attempt = os.environ["HEADRACE_ATTEMPT"]
    with open(ledger, "ab", buffering=0) as file:
        file.write(f"{attempt}\n".encode())
    while hold and not os.path.exists(hold):
        time.sleep(0.02)
    if fail_first and attempt.endswith("/1"):
        raise RuntimeError("the first attempt fails")
    with open(made.path, "w") as file:
        file.write(f"{before}{text}")
    return f"{before}{text}"


@dsl.component(base_image="python:3.11")
def items(ledger: str, made: dsl.Output[dsl.Dataset]) -> list:
    import os

    with open(ledger, "ab", buffering=0) as file:
        file.write(f"{os.environ['HEADRACE_ATTEMPT']}\n".encode())
    with open(made.path, "w") as file:
        file.write("items")
    return ["x", "y", "z"]


@dsl.pipeline(name="chain")
def chain(ledger: str, hold: str = "") -> str:
    first = note(ledger=ledger, hold=hold, text="a")
    second = note(ledger=ledger, hold=hold, text="b", before=first.outputs["Output"])
    return note(ledger=ledger, hold=hold, text="c", before=second.outputs["Output"]).outputs["Output"]


@dsl.pipeline(name="fan-out")
def fan_out(ledger: str, hold: str = ""):
    first = note(ledger=ledger, hold=hold, text="a")
    for text in "bcd":
        note(ledger=ledger, hold=hold, text=text, before=first.outputs["Output"])


@dsl.pipeline(name="loop")
def loop(ledger: str, hold: str = ""):
    with dsl.ParallelFor(items(ledger=ledger).outputs["Output"], parallelism=2) as item:
        note(ledger=ledger, hold=hold, text=item)


@dsl.pipeline(name="retry")
def retry(ledger: str, hold: str = ""):
    first = note(ledger=ledger, hold=hold, text="a", fail_first=True).set_retry(num_retries=2)
    note(ledger=ledger, hold=hold, text="b", before=first.outputs["Output"], fail_first=True).set_retry(num_retries=1)


@dsl.pipeline(name="exit-handler")
def exit_handler(ledger: str, hold: str = ""):
    last = note(ledger=ledger, text="last")
    with dsl.ExitHandler(last):
        first = note(ledger=ledger, hold=hold, text="a")
        note(ledger=ledger, hold=hold, text="b", before=first.outputs["Output"])
