"""Artifacts from task to task, from outside, in directories, lists and nested pipelines."""

from headrace import dsl


@dsl.component(base_image="python:3.11")
def make(rows: int, table: dsl.Output[dsl.Dataset], folder: dsl.Output[dsl.Model]) -> str:
    import os

    with open(table.path, "w") as file:
        file.writelines(f"{number}\n" for number in range(rows))
    table.metadata["rows"] = rows
    os.makedirs(os.path.join(folder.path, "deep"))
    with open(os.path.join(folder.path, "deep", "ä b"), "w") as file:
        file.write("inside")
    return table.uri


@dsl.component(base_image="python:3.11")
def read(table: dsl.Input[dsl.Dataset], folder: dsl.Input[dsl.Model]) -> str:
    import os

    with open(table.path) as file:
        lines = len(file.read().splitlines())
    with open(os.path.join(folder.path, "deep", "ä b")) as file:
        return f"{lines} {file.read()} {table.metadata['rows']}"


@dsl.component(base_image="python:3.11")
def lengths(tables: dsl.Input[list[dsl.Dataset]]) -> str:
    return " ".join(str(len(open(table.path).read().splitlines())) for table in tables)


@dsl.component(base_image="python:3.11")
def size(data: dsl.Input[dsl.Dataset]) -> str:
    import os

    if os.path.isdir(data.path):
        return " ".join(sorted(os.listdir(data.path)))
    with open(data.path) as file:
        return file.read()


@dsl.pipeline(name="stored")
def stored(outside: str) -> str:
    made = make(rows=3)
    with dsl.ParallelFor([1, 2]) as rows:
        each = make(rows=rows)
    lengths(tables=dsl.Collected(each.outputs["table"]))
    imported = dsl.importer(artifact_uri=outside, artifact_class=dsl.Dataset, metadata={"from": "outside"})
    size(data=imported.output)
    return read(table=made.outputs["table"], folder=made.outputs["folder"]).output
