"""More of what users write, which strict type checkers have to accept as it is; every pipeline compiles, too."""

from typing import Any, Literal, NamedTuple, Optional

from headrace import Client, compiler, components, dsl, kubernetes, local


class Measured(NamedTuple):
    score: float
    words: str


@dsl.component
def measure(model: dsl.Input[dsl.Model], how: Literal["fast", "exact"] = "fast") -> Measured:
    return Measured(score=float(len(model.path)), words=how)


@dsl.component
def train(
    data: dsl.Input[dsl.Dataset],
    settings: dict[str, int],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    note: Optional[str] = None,
) -> float:
    with open(data.path) as source, open(model.path, "w") as target:
        target.write(source.read())
    model.metadata["settings"] = settings
    metrics.log_metric("rows", 1.0)
    return 0.5


@dsl.component
def best(models: dsl.Input[list[dsl.Model]], scores: list[float], chosen: dsl.Output[dsl.Model]) -> None:
    print([model.uri for model in models], max(scores), chosen.name)


@dsl.component
def report(status: dsl.PipelineTaskFinalStatus, text: str) -> None:
    print(status.state, status.error_message, text)


@dsl.component
def settings() -> list[dict[str, int]]:
    return [{"depth": 1}]


@dsl.component(base_image="python:3.12", packages_to_install=["six"], pip_index_urls=["https://example.org/simple"])
def flip(seed: int) -> bool:
    return bool(seed % 2)


@dsl.container_component
def load(url: str, data: dsl.Output[dsl.Dataset]) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(
        image="alpine:3",
        command=["sh", "-c", dsl.ConcatPlaceholder(["wget ", url])],
        args=["-O", data.path, dsl.IfPresentPlaceholder(input_name="url", then=["-q"], else_=["-v"])],
    )


class Outcome(NamedTuple):
    model: dsl.Model
    score: float


@dsl.pipeline(name="inner", description="One model.")
def inner(data: dsl.Input[dsl.Dataset], setting: dict[str, int], note: Optional[str] = None) -> Outcome:
    trained = train(data=data, settings=setting, note=note)
    measured = measure(model=trained.outputs["model"], how="exact")
    return Outcome(model=trained.outputs["model"], score=measured.outputs["score"])


@dsl.pipeline(name="ordinary", pipeline_root="gs://bucket", display_name="Ordinary")
def ordinary(url: str, seed: int = 1, threshold: float = 0.5, words: Optional[list[str]] = None) -> float:
    end = report(text=f"{url} {dsl.PIPELINE_JOB_NAME_PLACEHOLDER}")
    with dsl.ExitHandler(end, name="always"):
        loaded = load(url=url).set_caching_options(enable_caching=False)
        data = loaded.outputs["data"]
        with dsl.ParallelFor(items=settings().output, name="each", parallelism=3) as setting:
            one = inner(data=data, setting=setting)
        with dsl.ParallelFor([1, 2, 3]) as number:
            flip(seed=number).set_memory_limit("1Gi").set_env_variable("A", "b").ignore_upstream_failure()
        best(models=dsl.Collected(one.outputs["model"]), scores=dsl.Collected(one.outputs["score"]))
        flipped = flip(seed=seed)
        flipped.set_cpu_request("1").set_cpu_limit("2").set_retry(num_retries=2, backoff_duration="10s")
        flipped.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.use_secret_as_env(flipped, secret_name="s", secret_key_to_env={"k": "K"})
        with dsl.If(flipped.output == True, name="heads"):  # noqa: E712 (this is how one writes it for KFP)
            left = settings().after(loaded, flipped)
        with dsl.Elif(threshold > 0.9):
            middle = settings()
        with dsl.Else():
            right = settings()
        later = dsl.OneOf(left.output, middle.output, right.output)
        with dsl.ParallelFor(later) as setting:
            train(data=data, settings=setting)
    imported = dsl.importer(artifact_uri="gs://a/b", artifact_class=dsl.Dataset, reimport=True)
    last = train(data=imported.output, settings={"depth": seed}, note="last")
    return last.outputs["Output"]


def use(client: Client, text: str) -> dict[str, Any]:
    """Everything around pipelines."""
    loaded = components.load_component_from_text(text)

    @dsl.pipeline
    def around(x: str) -> None:
        task = loaded(x=x)
        task.set_display_name("loaded")

    compiler.Compiler().compile(around, "around.yaml", pipeline_parameters={"x": "a"})
    compiler.Compiler().compile(pipeline_func=ordinary, package_path="ordinary.yaml")
    local.init(runner=local.SubprocessRunner())
    task = ordinary(url="https://example.org")
    return {"score": task.output + 1.0, "all": dict(task.outputs)}
