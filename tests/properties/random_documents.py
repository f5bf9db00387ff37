"""Random pipelines: loops (over texts, lists, lists of others and artifacts), conditions, OneOf, Collected, exit tasks,
retries, nesting, optional and missing inputs, importers, caches, and what goes wrong in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from headrace.spec.document import Document, parse_document
from properties.documents import const, given, group, leaf, made, out, param, spec_of, status
from properties.reference_rules import CONDITIONS, PLAIN_CONDITIONS, SELECTORS

Json = Any

#: Inputs of the whole pipeline, and what may be given for them.
ARGUMENTS: dict[str, tuple[Json, tuple[Json, ...]]] = {
    "flag": ({"parameterType": "STRING", "defaultValue": "heads"}, ("heads", "tails")),
    "count": ({"parameterType": "NUMBER_INTEGER", "defaultValue": 2.0}, (1, 3.0)),
    "maybe": ({"parameterType": "STRING", "isOptional": True}, (None, "tails")),
    "many": ({"parameterType": "LIST", "defaultValue": [1.0, "heads"]}, ([], [3], ["a", "b", "c"])),
}


def random_document(rng: Random) -> Document:
    return parse_document(random_spec(rng))


def random_spec(
    rng: Random, sizes: Sequence[int] = (3, 6, 12, 20, 40), messes: Sequence[float] = (0.0, 0.0, 0.1, 1.0)
) -> dict[str, Json]:
    """The same as plain JSON: about how many tasks it may have, and how much of what can be written wrong is."""
    budget, mess = [rng.choice(sizes)], rng.choice(messes)
    given = {name: d["parameterType"] for name, (d, _) in ARGUMENTS.items()}
    tasks = _Dag(rng, budget, 0, mess, given, {}).tasks
    return spec_of(tasks, takes={name: definition for name, (definition, _) in ARGUMENTS.items()})


def random_arguments(rng: Random) -> dict[str, Json]:
    return {name: rng.choice(values) for name, (_, values) in ARGUMENTS.items() if rng.random() < 0.3}


class _Dag:
    """The tasks of one DAG, each knowing those before it and what the DAG was given."""

    def __init__(
        self,
        rng: Random,
        budget: list[int],
        depth: int,
        mess: float,
        parameters: dict[str, str],
        artifacts: dict[str, bool],
    ) -> None:
        self.rng, self.budget, self.depth = rng, budget, depth
        #: How much of what can be written wrong is.
        self.mess = mess
        #: Inputs of the DAG: name -> type; name -> whether it is a list.
        self.parameters, self.artifacts = parameters, artifacts
        self.tasks: dict[str, Json] = {}
        #: What each task hands out: output -> type, and output -> whether it is a list of artifacts.
        self.gives: dict[str, dict[str, str]] = {}
        self.makes: dict[str, dict[str, bool]] = {}
        for i in range(rng.randint(0 if depth else 2, 6)):
            if budget[0] <= 0 and self.tasks:
                break
            budget[0] -= 1
            self._add(f"t{i}")
        if self.some(0.1):
            self._add_changing_loop()
        if self.some(0.1):
            self._add_exit_handler()
        if depth < 2 and self.some(0.15):
            self._add_stubborn_group()

    def some(self, chance: float) -> bool:
        return self.rng.random() < chance

    def bad(self, chance: float) -> bool:
        return self.rng.random() < chance * self.mess

    def _add(self, name: str) -> None:
        rng, earlier = self.rng, list(self.tasks)
        after = [other for other in earlier if self.some(0.4)]
        node: dict[str, Json] = {"after": after, "always": self.some(0.2), "takes": {"v": "STRING"}, "wires": {}}
        node |= {"takes_artifacts": {}, "wires_artifacts": {}}
        # What is wired to a sibling waits for it, with or without `dependentTasks`.
        self.near = after or (rng.sample(earlier, 1) if earlier and self.some(0.3) else [])
        node["wires"]["v"] = self._text()
        self._more_inputs(node)
        if self.some(0.25):
            node["condition"] = rng.choice(list(CONDITIONS)[: None if self.bad(0.6) else PLAIN_CONDITIONS])
        if self.some(0.3):
            # Zeros stand for what is not given: no growth, no maximum.
            node["retry"] = (
                rng.randint(1, 3),
                rng.choice((0, 5)),
                rng.choice((2.0, 2.0, 0.0)),
                rng.choice((3600, 7, 0)),
            )
        if node["always"] and self.near and self.some(0.7):
            node["takes"]["s"] = "TASK_FINAL_STATUS"
            node["wires"]["s"] = status(rng.choice(self.near))
        if node["always"]:
            # What an exit task takes from others may be missing.
            node["takes"]["v"] = {"parameterType": "STRING", "isOptional": True, "defaultValue": "none"}
        looped = self.some(0.3) and self._loop(node)
        made_of = self._leaf(node) if self.depth >= 3 or self.some(0.6) else self._group(node)
        self.tasks[name], gives, makes = made_of
        self.gives[name] = dict.fromkeys(gives, "LIST") if looped else gives
        self.makes[name] = dict.fromkeys(makes, True) if looped else makes

    def _add_changing_loop(self) -> None:
        """A loop over what a task gives that is done again whenever the DAG is: it has other items each time."""
        items = leaf(after=["first"], always=True, gives={"list": "LIST"})
        body = leaf(takes={"all": "LIST"}, wires={"all": out("items", "list")}, loop="all", gives={"Output": "STRING"})
        self.tasks |= {"first": leaf(gives={}), "items": items, "each": body}

    def _add_stubborn_group(self) -> None:
        """A pipeline that fails at once whenever its policy begins it again, and what is done in it in any case."""
        fails = leaf(takes={"v": "STRING"}, wires={"v": const("x")}, condition="inputs.parameter_values['v'] > 3")
        kept = leaf(after=["fails"], always=True, cache=True, gives={"Output": "STRING"})
        then = leaf(after=["kept"], always=True, gives={})
        tasks = {"fails": fails, "kept": kept} | ({"then": then} if self.some(0.6) else {})
        self.tasks["before"] = leaf(gives={})
        self.tasks["stubborn"] = group(tasks, retry=(2, 0), after=["before"], always=True)

    def _add_exit_handler(self) -> None:
        """As KFP compiles `with dsl.ExitHandler(...)`, with two exit tasks, and one of the whole inside another."""
        inner = group({"work": leaf(gives={"Output": "STRING"})}, hands_out={"Output": ("work", "Output")})
        nested = {"guarded": inner, "inner-exit": self._exit_task("guarded")}
        self.tasks |= {"exit-handler": group(nested, hands_out={"Output": ("guarded", "Output")})}
        self.tasks |= {"exit-1": self._exit_task("exit-handler"), "exit-2": self._exit_task("exit-handler")}

    def _exit_task(self, of: str) -> Json:
        missing = {"parameterType": "STRING", "isOptional": True, "defaultValue": "none"}
        return leaf(
            after=[of], always=True, takes={"s": "TASK_FINAL_STATUS", "v": missing}, retry=(1, 0),
            wires={"s": status(of), "v": out(of)},
        )  # fmt: skip

    # --- inputs --------------------------------------------------------------------------------

    def _text(self) -> Json:
        """A source for a STRING."""
        rng = self.rng
        task = rng.choice(self.near) if self.near and self.some(0.5) else ""
        if task and (self.gives[task] or self.bad(1)):
            return self._output_of(task)
        # The wording of a status is the engine's own: it is not handed on as text.
        inputs = [name for name, kind in self.parameters.items() if kind != "TASK_FINAL_STATUS"]
        inputs = inputs if self.bad(1) else [name for name in inputs if name not in ("maybe", "n")]
        if inputs and self.some(0.5):
            return self._selected(param(rng.choice(inputs)))
        texts = ("heads", "tails", "{{$.pipeline_job_name}}", "x {{$.inputs.parameters['n']}} {{$.pipeline_task_name}}")
        return const(rng.choice((*texts, "heads", 7.0, ["{{$.pipeline_job_uuid}}", 1.0])))

    def _output_of(self, task: str) -> Json:
        known = list(self.gives[task]) or ["Output"]
        return self._selected(out(task, self.rng.choice(known)))

    def _selected(self, source: Json) -> Json:
        selector = self.rng.choice(list(SELECTORS)) if self.bad(0.15) else "string_value" if self.some(0.03) else ""
        return {**source, "parameterExpressionSelector": selector} if selector else source

    def _more_inputs(self, node: Json) -> None:
        rng = self.rng
        if self.some(0.35):
            self._number(node)
        if self.bad(0.2):
            literal = {"parameterType": "STRING", "literals": ["heads", "tails"]}
            node["takes"]["w"], node["wires"]["w"] = literal, self._text()
        if self.some(0.05):
            node["takes"]["c"] = "TASK_CONFIG"
        if self.some(0.05):
            node["wires"]["u"] = const("undeclared")
        lists = [(task, name) for task in self.near for name, kind in self.gives[task].items() if kind == "LIST"]
        if lists and self.some(0.6):
            task, name = rng.choice(lists)
            node["takes"]["all"], node["wires"]["all"] = "LIST", out(task, name)
        self._artifact(node)

    def _number(self, node: Json) -> None:
        rng = self.rng
        optional = {"parameterType": "NUMBER_INTEGER", "isOptional": True}
        definition = rng.choice(("NUMBER_INTEGER", optional, {**optional, "defaultValue": 4.0}, "NUMBER_DOUBLE"))
        node["takes"]["n"] = definition
        sources: list[Json] = [const(3.0), const(1.0)]
        sources += [const(None)] if self.bad(0.6) or not isinstance(definition, str) else []
        sources += [const("no number"), const(2.5)] if self.bad(0.3) else []
        sources += [param("item")] * 2 if self.parameters.get("item") == "NUMBER_INTEGER" or self.bad(1) else []
        # An item whose type the compiler did not know: the text of a number, which is one again here.
        sources += [param(name) for name in self.parameters if "loop-item" in name] * 3
        sources += [param("count")] * 2 if "count" in self.parameters else []
        sources += [out(task, "number") for task in self.near if "number" in self.gives[task]] * 3
        if isinstance(definition, str) or self.some(0.7):
            node["wires"]["n"] = rng.choice(sources)

    def _artifact(self, node: Json) -> None:
        rng = self.rng
        wires = [(made(t, name), is_list) for t in self.near for name, is_list in self.makes[t].items()]
        wires += [(given(name), is_list) for name, is_list in self.artifacts.items()]
        if not wires or not self.some(0.6):
            return
        wire, is_list = rng.choice(wires)
        if self.bad(0.15):
            is_list = not is_list
        definition = {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": is_list}
        optional = node["always"] or not self.bad(0.6)
        node["takes_artifacts"]["m"] = {**definition, "isOptional": optional}
        node["wires_artifacts"]["m"] = wire

    # --- what it is ----------------------------------------------------------------------------

    def _loop(self, node: Json) -> bool:
        rng = self.rng
        node["parallelism"] = rng.choice((0, 0, 1, 2))
        if node["takes_artifacts"].get("m", {}).get("isArtifactList") and self.some(0.7):
            definition = {"artifactType": {"schemaTitle": "system.Model"}}
            node["takes_artifacts"] |= {"items": node["takes_artifacts"].pop("m"), "one": definition}
            node["wires_artifacts"]["items"] = node["wires_artifacts"].pop("m")
            node |= {"loop_artifacts": "items", "item": "one"}
            return True
        node["item"] = rng.choice(("item", "item", "item", "pipelinechannel--loop-item-param-1"))
        kind = "STRING" if "loop-item" in node["item"] else rng.choice(("NUMBER_INTEGER", "STRING"))
        node["takes"][node["item"]] = {"parameterType": kind, "isOptional": True}
        items = [float(n) for n in range(rng.choice((0, 1, 2, 3, 5)))]
        if self.bad(0.3):
            items.append(rng.choice(("text", None, [1.0])))
        if self.some(0.4):
            node["loop"] = str(items).replace("'", '"').replace("None", "null")
            return True
        sources: list[Json] = [const(items), const(items), const(str(items).replace("'", '"').replace("None", "null"))]
        sources += [const("no list"), const({"a": 1.0})] if self.bad(0.3) else []
        sources += [out(t, n) for t in self.near for n, kind in self.gives[t].items() if kind == "LIST"] * 9
        # Its items are texts and numbers.
        sources += [param("many")] * 2 if "many" in self.parameters and (kind == "STRING" or self.bad(1)) else []
        wire = rng.choice(sources)
        text = isinstance(wire.get("runtimeValue", {}).get("constant"), str)
        node["takes"]["items"] = "STRING" if text else rng.choice(("LIST", "LIST", "LIST", "STRING"))
        node["wires"]["items"] = wire
        node["loop"] = "items"
        return True

    def _leaf(self, node: Json) -> tuple[Json, dict[str, str], dict[str, bool]]:
        rng = self.rng
        kind = rng.random()
        if kind < 0.06 and "loop" not in node:
            return self._importer(node), {}, {"artifact": False}
        gives = {"Output": "STRING"}
        gives |= {"number": "NUMBER_INTEGER"} if self.some(0.3) else {}
        gives |= {"list": "LIST"} if self.some(0.35) else {}
        gives |= {"struct": "STRUCT"} if self.some(0.1) else {}
        makes = ("model",) if self.some(0.3) else ()
        cache = {"cache": True, "cache_key": "mine" if self.some(0.1) else ""} if self.some(0.3) else {}
        if kind > 1 - 0.05 * self.mess:
            node["executor"] = {"customJob": {}}
        return leaf(gives=gives, makes=makes, **cache, **node), gives, dict.fromkeys(makes, False)

    def _importer(self, node: Json) -> Json:
        node["takes"]["uri"] = "STRING"
        node["wires"]["uri"] = self._text()
        importer = {
            "artifactUri": {"runtimeParameter": "uri"} if self.some(0.7) else {"constant": "file:///x"},
            "typeSchema": {"schemaTitle": "system.Dataset"},
            "metadata": {"k {{$.inputs.parameters['v']}}": "{{$.inputs.parameters['v']}}", "n": 1.0},
            "reimport": self.some(0.5),
        }
        return leaf(makes=("artifact",), executor={"importer": importer}, **node)

    def _group(self, node: Json) -> tuple[Json, dict[str, str], dict[str, bool]]:
        rng = self.rng
        parameters = {n: d if isinstance(d, str) else d["parameterType"] for n, d in node["takes"].items()}
        artifacts = {
            n: bool(d.get("isArtifactList"))
            for n, d in node["takes_artifacts"].items()
            if n != "items" or "loop_artifacts" not in node
        }
        below = _Dag(rng, self.budget, self.depth + 1, self.mess, parameters, artifacts)
        hands_out, kinds = below.chosen(below.gives)
        hands_out_artifacts, lists = below.chosen(below.makes)
        # A DAG's selectors of artifacts are lists; of parameters a single one is bare.
        many = {n: c if isinstance(c, list) else [c] for n, c in hands_out_artifacts.items()}
        made_of = group(below.tasks, hands_out=hands_out, kinds=kinds, hands_out_artifacts=many, **node)
        return made_of, kinds, lists

    def chosen(self, known: dict[str, dict[str, Any]]) -> tuple[dict[str, Json], dict[str, Any]]:
        """Outputs of this DAG: each from one of its tasks, or from several of which one happens (OneOf)."""
        rng = self.rng
        found: dict[str, Json] = {}
        kinds: dict[str, Any] = {}
        for name in sorted({name for outputs in known.values() for name in outputs}):
            makers = [task for task, outputs in known.items() if name in outputs]
            kind = known[rng.choice(makers)][name]
            chosen = [(task, name) for task in makers if known[task][name] == kind]
            if self.some(0.85):
                found[name] = chosen if self.some(0.4) else rng.choice(chosen)
                kinds[name] = kind
        return found, kinds
