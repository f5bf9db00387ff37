"""What a browser and a reader of logs are given: a page, a folder, many lines."""

from headrace import dsl
from headrace.dsl import HTML, Dataset, Output


@dsl.component(base_image="python:3.11")
def report(page: Output[HTML]):
    with open(page.path, "w") as file:
        file.write("<h1>report</h1><script>document.title = 'ran'</script>")


@dsl.component(base_image="python:3.11")
def folder(files: Output[Dataset]):
    import os

    os.makedirs(os.path.join(files.path, "a"))
    with open(os.path.join(files.path, "a", "note.txt"), "w") as file:
        file.write("0123456789")


@dsl.component(base_image="python:3.11")
def many_lines(count: int):
    for number in range(count):
        print(f"{number:09d} {'x' * 89}")


@dsl.pipeline(name="pages")
def pages(lines: int = 100_000):
    report().set_caching_options(False)
    folder().set_caching_options(False)
    many_lines(count=lines).set_caching_options(False)
