"""The smallest pipeline: one component, one task.

Run it: `headrace run examples/hello.py --arg name=Ada`
"""

from headrace import dsl


@dsl.component(base_image="python:3.11")
def greet(name: str) -> str:
    """Says hello.

    Args:
        name: Whom to greet.
    """
    message = f"Hello, {name}!"
    print(message)
    return message


@dsl.pipeline(name="hello", description="Greets somebody.")
def hello(name: str = "world") -> str:
    return greet(name=name).output
