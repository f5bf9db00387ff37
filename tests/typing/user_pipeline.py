"""A user's pipeline file, as strict type checkers have to accept it; `reveal_type` lines are checked by the test."""

from typing import NamedTuple, reveal_type

from headrace import compiler, dsl


@dsl.component
def text(x: str = "a") -> str:
    return x


@dsl.component(base_image="python:3.12", packages_to_install=["pandas"])
def numbers(n: int) -> list[int]:
    return list(range(n))


@dsl.component
def split(x: str) -> NamedTuple("Out", [("left", str), ("count", int)]):  # type: ignore[valid-type]
    return ("a", 1)


@dsl.component
def make(data: dsl.Output[dsl.Dataset], x: str = "a") -> None:
    data.metadata["rows"] = 1
    with open(data.path, "w") as file:  # noqa: PTH123
        file.write(x)


@dsl.component
def read(data: dsl.Input[dsl.Dataset], many: list[str], report: dsl.OutputPath(str)) -> float:  # type: ignore[valid-type]
    return 1.0


@dsl.container_component
def shell(x: str, out: dsl.OutputPath(str)) -> dsl.ContainerSpec:  # type: ignore[valid-type]
    return dsl.ContainerSpec(image="alpine", command=["echo", x], args=[out])


@dsl.pipeline(name="inner")
def inner(x: str = "a") -> str:
    return text(x=x).output


@dsl.pipeline
def main(
    name: str,
    size: int = 3,
    go: bool = True,
    records: list[dict[str, str]] = [{"k": "v"}],  # noqa: B006
) -> float:
    first = text(x=name).set_caching_options(False).set_retry(2).set_display_name("First")
    reveal_type(first.output)
    items = numbers(n=size)
    reveal_type(items.output)
    with dsl.ParallelFor(items.output, parallelism=2) as item:
        reveal_type(item)
        inside = text(x=f"{item}")
    reveal_type(dsl.Collected(inside.output))
    with dsl.ParallelFor(records) as record:
        text(x=record.k)
        text(x=record["k"])
    with dsl.If((size > 3) & go & dsl.in_(name, ["a", "b"]), name="Large"):
        left = text(x="large")
    with dsl.Elif(name == "b"):
        middle = text(x="b")
    with dsl.Else():
        right = text(x="small")
    chosen = dsl.OneOf(left.output, middle.output, right.output)
    reveal_type(chosen)
    done = text(x=chosen).after(first)
    made = make(x=split(x=done.output).outputs["left"]).set_cpu_limit("1").set_env_variable("A", "b")
    nested = inner(x=name)
    reveal_type(nested.output)
    with dsl.ExitHandler(shell(x="bye")):
        text(x=nested.output)
    imported = dsl.importer(artifact_uri="s3://a/b", artifact_class=dsl.Dataset)
    read(data=imported.output, many=dsl.Collected(inside.output))
    last = read(data=made.outputs["data"], many=dsl.Collected(inside.output))
    found: float = last.outputs["Output"]
    return found


if __name__ == "__main__":
    compiler.Compiler().compile(main, "main.yaml")
