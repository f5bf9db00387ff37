"""What strict type checkers have to find in a user's pipeline file: each marked line, and no other."""

from headrace import dsl


@dsl.component
def text(x: str = "a") -> str:
    return x


@dsl.component
def make(data: dsl.Output[dsl.Dataset], rows: int) -> None:
    data.no_such_member()  # wrong: no_such_member
    rows.append(1)  # wrong: append


@dsl.component
def numbers(n: int) -> list[int]:
    return "no list"  # wrong: list[int]


@dsl.pipeline
def inner(name: str, size: int = 1) -> str:
    return text(x=name).output


@dsl.pipeline
def positional(name: str) -> None:
    text(name)  # wrong: arguments


@dsl.pipeline
def methods(name: str) -> None:
    text(x=name).set_cpu_limits("1")  # wrong: set_cpu_limits
    text(x=name).set_retry("twice")  # wrong: "int"
    text(x=name).after(name)  # wrong: "str"


@dsl.pipeline
def nested(name: str, size: int) -> None:
    inner(nome=name)  # wrong: "nome"
    inner(name=numbers(n=size).output)  # wrong: list[int]
    inner(name=text(x=name))  # wrong: PipelineTask
    inner()  # wrong: "name"


@dsl.pipeline
def outputs(name: str, size: int) -> int:
    text(x=name).output.no_such_method()  # wrong: no_such_method
    numbers(n=size).output + 1  # wrong: list
    with dsl.ParallelFor(numbers(n=size).output) as item:
        inner(name=item)  # wrong: "int"
        one = text(x=name)
    with dsl.ParallelFor(size) as each:  # wrong: "int"
        text(x=f"{each}")
    dsl.Collected(one.output).no_such_list_method()  # wrong: no_such_list_method
    dsl.InputPaths  # wrong: InputPaths
    return text(x=name).output  # wrong: "str"


@dsl.pipeline(nam="x")  # wrong: pipeline
def options(name: str) -> None:
    text(x=name)
