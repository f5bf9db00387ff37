"""Small pipelines of a certain shape, for tests of what happens around them."""

from headrace import dsl


@dsl.component(base_image="python:3.11")
def number(value: int) -> int:
    return value


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def total(values: list[int]) -> int:
    return sum(values)


@dsl.component(base_image="python:3.11")
def wait_for(path: str) -> str:
    """Runs until a file appears: the test decides when. Has a child that would outlive a careless end."""
    import os
    import subprocess
    import time

    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    print(f"child {child.pid}", flush=True)
    while not os.path.exists(path):
        time.sleep(0.02)
    child.kill()
    return "seen"


@dsl.component(base_image="python:3.11")
def fail_until(path: str) -> str:
    import os

    if not os.path.exists(path):
        raise RuntimeError(f"there is no {os.path.basename(path)} yet")
    return "there it is"


@dsl.pipeline(name="chain")
def chain(length_is_fixed: bool = True) -> int:
    task = number(value=1)
    for _ in range(4):
        task = add(a=task.output, b=1)
    return task.output


@dsl.pipeline(name="fan")
def fan(values: list[int] = [1, 2, 3, 4, 5, 6]) -> int:
    with dsl.ParallelFor(values) as value:
        doubled = add(a=value, b=value)
    return total(values=dsl.Collected(doubled.output)).output


@dsl.pipeline(name="waits")
def waits(path: str) -> str:
    first = number(value=1)
    return wait_for(path=path).after(first).set_caching_options(False).output


@dsl.pipeline(name="fails")
def fails(path: str) -> int:
    first = number(value=20).set_caching_options(False)
    second = fail_until(path=path).after(first).set_caching_options(False)
    third = add(a=first.output, b=1).after(second).set_caching_options(False)
    return third.output
