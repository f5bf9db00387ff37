"""Components that do what components should not; one pipeline for each."""

from headrace import dsl, kubernetes


@dsl.component(base_image="python:3.11")
def fine(text: str = "fine") -> str:
    print("this is fine")
    return text


@dsl.component(base_image="python:3.11")
def raise_error():
    print("about to divide")
    print(1 / 0)


@dsl.component(base_image="python:3.11")
def exit_quietly() -> str:
    import os

    os._exit(0)


@dsl.component(base_image="python:3.11")
def exit_loudly():
    import sys

    sys.exit(7)


@dsl.component(base_image="python:3.11")
def hang():
    import time

    print("hanging", flush=True)
    time.sleep(3600)


@dsl.component(base_image="python:3.11")
def print_garbage():
    import sys

    sys.stdout.buffer.write(b"begin \xff\xfe\x80 end\n")
    sys.stdout.flush()


@dsl.component(base_image="python:3.11")
def print_much(megabytes: int):
    import sys

    line = b"x" * 999 + b"\n"
    for _ in range(megabytes):
        sys.stdout.buffer.write(line * 1000)
    sys.stdout.flush()


@dsl.component(base_image="python:3.11")
def give_nan() -> float:
    return float("nan")


@dsl.component(base_image="python:3.11")
def give_wrong_type() -> int:
    return "three"


@dsl.component(base_image="python:3.11", packages_to_install=["this-package-does-not-exist-headrace==1.0"])
def want_what_is_not_there():
    print("never")


@dsl.component(base_image="python:3.11")
def import_what_is_not_there():
    import this_module_does_not_exist_headrace  # noqa: F401


@dsl.pipeline(name="raises")
def raises():
    first = raise_error()
    fine().after(first)
    fine(text="beside")


@dsl.pipeline(name="exits-quietly")
def exits_quietly():
    exit_quietly()


@dsl.pipeline(name="exits-loudly")
def exits_loudly():
    exit_loudly()


@dsl.pipeline(name="hangs")
def hangs():
    kubernetes.set_timeout(hang(), 2)


@dsl.pipeline(name="garbage")
def garbage():
    print_garbage()


@dsl.pipeline(name="much")
def much(megabytes: int = 200):
    print_much(megabytes=megabytes)


@dsl.pipeline(name="nan")
def nan():
    give_nan()


@dsl.pipeline(name="wrong-type")
def wrong_type():
    give_wrong_type()


@dsl.pipeline(name="no-package")
def no_package():
    want_what_is_not_there()


@dsl.pipeline(name="no-module")
def no_module():
    import_what_is_not_there()
