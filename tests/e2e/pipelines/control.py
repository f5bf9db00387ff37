"""A pipeline to be run again from its middle, marked and held back."""

from headrace import dsl


@dsl.component
def load(rows: int, data: dsl.Output[dsl.Dataset]) -> int:
    with open(data.path, "w") as file:
        file.write("x" * rows)
    return rows


@dsl.component
def train(rate: float, data: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]) -> float:
    if rate > 1.0:
        raise ValueError("the rate is too high")
    with open(data.path) as source, open(model.path, "w") as target:
        target.write(source.read())
    return rate / 2


@dsl.component
def test(score: float, model: dsl.Input[dsl.Model]) -> float:
    return score


@dsl.pipeline(name="trained")
def trained(rows: int = 10, rate: float = 5.0):
    loaded = load(rows=rows)
    model = train(rate=rate, data=loaded.outputs["data"])
    test(score=model.outputs["Output"], model=model.outputs["model"])
