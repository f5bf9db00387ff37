"""A pipeline as users of Kubeflow Pipelines have it: nothing in this file knows of Headrace.

Monte Carlo estimates of pi, several at once, then their mean. Compile it with `kfp`, submit it with `kfp.Client`:

    kfp dsl compile --py examples/stock_kfp.py --output stock_kfp.yaml
    python -c 'import kfp; kfp.Client("http://127.0.0.1:8090", …).create_run_from_pipeline_package("stock_kfp.yaml")'

docs/how-to/use-with-kfp.md has the whole of it. `headrace run examples/stock_kfp.py` works too, where kfp is installed.
"""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="python:3.11")
def plan(count: int, seed: int) -> list[int]:
    """One seed for each estimate."""
    import random

    return random.Random(seed).sample(range(1_000_000), count)


@dsl.component(base_image="python:3.11")
def estimate(seed: int, points: int, hits: dsl.Output[dsl.Dataset]) -> float:
    """Throws points at a square; the share inside the circle is a quarter of pi."""
    import random

    dice = random.Random(seed)
    inside = sum(dice.random() ** 2 + dice.random() ** 2 <= 1 for _ in range(points))
    with open(hits.path, "w") as file:
        file.write(f"seed,points,inside\n{seed},{points},{inside}\n")
    hits.metadata["inside"] = inside
    return 4 * inside / points


@dsl.component(base_image="python:3.11")
def combine(estimates: list[float], hits: dsl.Input[list[dsl.Dataset]], metrics: dsl.Output[dsl.Metrics]) -> NamedTuple(
    "Combined", [("pi", float), ("error", float)]
):
    """The mean of the estimates, and how far off it is."""
    import math
    from typing import NamedTuple

    from kfp import dsl  # noqa: F401  (users do import it inside components; it must resolve there)

    pi = sum(estimates) / len(estimates)
    error = abs(pi - math.pi)
    metrics.log_metric("estimates", len(hits))
    metrics.log_metric("pi", pi)
    metrics.log_metric("error", error)
    return NamedTuple("Combined", [("pi", float), ("error", float)])(pi, error)


@dsl.component(base_image="python:3.11")
def verdict(words: str, report: dsl.OutputPath("Markdown")):
    """Writes the report."""
    with open(report, "w") as file:
        file.write(f"# Pi\n\n{words}\n")


@dsl.pipeline(name="stock-kfp", description="Estimates pi, several times at once.")
def stock_kfp(count: int = 4, points: int = 20_000, seed: int = 7) -> float:
    seeds = plan(count=count, seed=seed)
    with dsl.ParallelFor(seeds.output, parallelism=2) as one:
        guess = estimate(seed=one, points=points).set_caching_options(False)
    combined = combine(estimates=dsl.Collected(guess.outputs["Output"]), hits=dsl.Collected(guess.outputs["hits"]))
    with dsl.If(combined.outputs["error"] < 0.1):
        verdict(words=f"Good enough: {combined.outputs['pi']}").set_retry(num_retries=1)
    with dsl.Else():
        verdict(words="Throw more points.")
    return combined.outputs["pi"]
