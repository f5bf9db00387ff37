"""A program with everything whose order could follow from a set or a hash."""

import sys

from headrace import compiler, dsl


@dsl.component
def text(x: str = "a", y: dict = {"b": 1, "a": 2, "c": {"z": 1, "y": 2}}) -> str:  # noqa: B006
    return x


@dsl.component
def data(out: dsl.Output[dsl.Dataset]):
    pass


@dsl.component
def join(xs: list) -> str:
    return ""


@dsl.pipeline
def inner(x: str = "a", y: int = 2) -> str:
    with dsl.If(y > 1):
        text(x=x)
    return text(x=x).output


@dsl.pipeline(name="hashing", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def main(a: str = "a", b: str = "b", c: str = "c", items: list = ["x", "y"], d: dict = {"q": 1, "p": 2}):  # noqa: B006
    first, second, third = text(x=a), text(x=b), text(x=c)
    dsl.importer(
        artifact_uri="s3://bucket/key",
        artifact_class=dsl.Dataset,
        metadata={"k": f"{a}{b}{c}", "l": [b, first.output], third.output: a},
    )
    with dsl.ExitHandler(text(x="bye")):
        with dsl.If((a == "1") | (b == "2") & (second.output != c)):
            with dsl.ParallelFor(items) as item:
                made = text(x=f"{item}{third.output}{a}{second.output}{first.output}", y={"k": b, "j": c})
                made.after(first, second, third)
            join(xs=dsl.Collected(made.output))
        inner(x=first.output)
    inner(x=f"{b}{a}").after(second, third, first)
    inner(x=b)


compiler.Compiler().compile(main, sys.argv[1])
