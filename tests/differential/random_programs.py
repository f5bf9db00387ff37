"""Random program texts: tasks, groups and channels put together in every way the language allows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

COMPONENTS = """\
@dsl.component
def text(x: str = 'a') -> str:
    return x
@dsl.component
def number(x: int = 1) -> int:
    return x
@dsl.component
def flag(x: bool = True) -> bool:
    return x
@dsl.component
def half(x: float = 0.5) -> float:
    return x
@dsl.component
def texts(x: Optional[str] = None) -> List[str]:
    return ['a']
@dsl.component
def numbers(x: int = 1) -> List[int]:
    return [1]
@dsl.component
def records(x: str = 'a') -> List[Dict[str, str]]:
    return [{'k': 'v'}]
@dsl.component
def bag(x: dict = {'a': 1}) -> dict:
    return x
@dsl.component
def join(xs: List[str], ys: List[int] = [1]) -> str:
    return ''
@dsl.component
def join_numbers(xs: List[int]) -> int:
    return 1
@dsl.component
def pair(x: str, n: int = 2) -> NamedTuple('Out', [('a', str), ('b', int), ('c', List[str])]):
    return ('a', 1, [])
@dsl.component
def make_data(data: Output[Dataset], x: str = 'a'):
    pass
@dsl.component
def make_model(x: str, data: Input[Dataset]) -> Model:
    return Model()
@dsl.component
def read_data(data: Input[Dataset], also: Input[Artifact] = None) -> str:
    return ''
@dsl.component
def read_all(data: Input[List[Dataset]]) -> str:
    return ''
@dsl.component
def bye(status: PipelineTaskFinalStatus, x: str = 'a'):
    pass
@dsl.component
def nothing():
    pass
@dsl.container_component
def shell(x: str, out: dsl.OutputPath(str), data: Input[Dataset] = None):
    return dsl.ContainerSpec(image='alpine', command=['echo', x], args=['--out', out, dsl.IfPresentPlaceholder('data', ['--d', 'y'])])
@dsl.pipeline
def inner(x: str = 'a', n: int = 1) -> str:
    t = text(x=x)
    with dsl.If(n > 1):
        number(x=n)
    return text(x=t.output).output
@dsl.pipeline(name='inner-two')
def outer_inner(x: str, xs: List[str] = ['a']) -> NamedTuple('Out', [('s', str), ('data', Dataset)]):
    with dsl.ParallelFor(xs) as one:
        text(x=one)
    d = make_data(x=x)
    i = inner(x=x)
    return NamedTuple('Out', [('s', str), ('data', Dataset)])(i.output, d.outputs['data'])
"""

INPUTS = {
    "p_text": ("str", "text", "'t'"),
    "p_number": ("int", "number", "3"),
    "p_flag": ("bool", "flag", "True"),
    "p_half": ("float", "half", "0.5"),
    "p_texts": ("List[str]", "texts", "['a', 'b']"),
    "p_numbers": ("List[int]", "numbers", "[1, 2]"),
    "p_records": ("List[Dict[str, str]]", "records", "[{'k': 'v'}]"),
    "p_bag": ("dict", "bag", "{'a': 1}"),
    "p_data": ("Input[Dataset]", "data", None),
    "p_datas": ("Input[List[Dataset]]", "datas", None),
}
CONSTANTS = {
    "text": ["'c'", "''", "'two words'", "'3'"],
    "number": ["0", "7", "-2"],
    "flag": ["True", "False"],
    "half": ["0.5", "2.0"],
    "texts": ["['x', 'y']", "[]"],
    "numbers": ["[1, 2]"],
    "bag": ["{'a': 1, 'b': [1, 2]}", "{}"],
}
#: Component: inputs by kind (optional ones with `?`), outputs as (expression suffix, kind).
CALLS: dict[str, tuple[dict[str, str], list[tuple[str, str]]]] = {
    "text": ({"x": "text?"}, [(".output", "text")]),
    "number": ({"x": "number?"}, [(".output", "number")]),
    "flag": ({"x": "flag?"}, [(".output", "flag")]),
    "half": ({"x": "half?"}, [(".output", "half")]),
    "texts": ({"x": "text?"}, [(".output", "texts")]),
    "numbers": ({"x": "number?"}, [(".output", "numbers")]),
    "records": ({"x": "text?"}, [(".output", "records")]),
    "bag": ({"x": "bag?"}, [(".output", "bag")]),
    "join": ({"xs": "texts", "ys": "numbers?"}, [(".outputs['Output']", "text")]),
    "join_numbers": ({"xs": "numbers"}, [(".output", "number")]),
    "pair": ({"x": "text", "n": "number?"}, [(".outputs['a']", "text"), (".outputs['b']", "number"),
                                            (".outputs['c']", "texts")]),
    "make_data": ({"x": "text?"}, [(".outputs['data']", "data")]),
    "make_model": ({"x": "text", "data": "data"}, [(".output", "model")]),
    "read_data": ({"data": "data", "also": "model?"}, [(".output", "text")]),
    "read_all": ({"data": "datas"}, [(".output", "text")]),
    "nothing": ({}, []),
    "shell": ({"x": "text", "data": "data?"}, [(".outputs['out']", "text")]),
    "inner": ({"x": "text?", "n": "number?"}, [(".output", "text")]),
    "outer_inner": ({"x": "text", "xs": "texts?"}, [(".outputs['s']", "text"), (".outputs['data']", "data")]),
}  # fmt: skip
LISTED = {"text": "texts", "number": "numbers", "data": "datas"}
GRAPHS = {"inner", "outer_inner"}


@dataclass
class Scope:
    """What a block can see: channels by kind and tasks by variable."""

    channels: list[tuple[str, str]] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    #: Made in this very block, with the kind: what OneOf and Collected take.
    made: list[tuple[str, str]] = field(default_factory=list)
    in_constant_loop: bool = False
    in_loop: bool = False

    def inside(self) -> Scope:
        return Scope([*self.channels], [*self.tasks], [], self.in_constant_loop, self.in_loop)


class Program:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.lines: list[str] = []
        self.count = 0

    def text(self) -> str:
        chosen = self.random.sample(sorted(INPUTS), self.random.randint(3, len(INPUTS)))
        chosen.sort(key=lambda name: INPUTS[name][2] is not None)
        scope = Scope([(name, INPUTS[name][1]) for name in chosen])
        signature = ", ".join(
            f"{name}: {INPUTS[name][0]}" + ("" if INPUTS[name][2] is None else f" = {INPUTS[name][2]}")
            for name in chosen
        )
        self.block(scope, 1, 0, self.random.randint(2, 6))
        self.task(scope, 1)
        returned = [(e, k) for e, k in scope.made if k in ("text", "number", "data")]
        annotation, last = "", ""
        if returned and self.random.random() < 0.5:
            expression, kind = self.random.choice(returned)
            annotation = " -> " + {"text": "str", "number": "int", "data": "Dataset"}[kind]
            last = f"    return {expression}\n"
        body = "".join(self.lines) + last
        return f"{COMPONENTS}@dsl.pipeline(name='random')\ndef main({signature}){annotation}:\n{body}"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text + "\n")

    def variable(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def block(self, scope: Scope, depth: int, level: int, size: int) -> None:
        for _ in range(size):
            kinds = ["task"] * 5
            if level < 3:
                kinds += ["if", "for", "chain", "chain"]
            if level == 0:
                kinds += ["exit"]
            kind = self.random.choice(kinds)
            getattr(self, f"make_{kind}", self.task)(scope, depth, level)

    # Values

    def value(self, scope: Scope, kind: str) -> str | None:
        options = [expression for expression, have in scope.channels if have == kind]
        constants = CONSTANTS.get(kind, [])
        roll = self.random.random()
        if kind == "text" and roll < 0.2:
            found = [e for e, have in scope.channels if have in ("text", "number") and "." not in e.split("(")[0][:0]]
            found = [e for e in found if "item" not in e or "." not in e]
            if found:
                picked = self.random.sample(found, min(len(found), self.random.randint(1, 3)))
                return 'f"' + "-".join("{" + one + "}" for one in picked) + '"'
        if kind == "bag" and roll < 0.3:
            found = [
                e for e, have in scope.channels if have in ("text", "number") and ("item" not in e or "." not in e)
            ]
            if found:
                return "{'k': " + self.random.choice(found) + ", 'l': [" + self.random.choice(found) + "]}"
        if options and (not constants or roll < 0.75):
            return self.random.choice(options)
        return self.random.choice(constants) if constants else None

    def arguments(self, scope: Scope, inputs: dict[str, str]) -> str | None:
        parts = []
        for name, kind in inputs.items():
            optional = kind.endswith("?")
            if optional and self.random.random() < 0.3:
                continue
            value = self.value(scope, kind.rstrip("?"))
            if value is None:
                if optional:
                    continue
                return None
            parts.append(f"{name}={value}")
        return ", ".join(parts)

    # Statements

    def task(self, scope: Scope, depth: int, _level: int = 0) -> None:
        name = self.random.choice(sorted(CALLS))
        inputs, outputs = CALLS[name]
        arguments = self.arguments(scope, inputs)
        if arguments is None:
            name, arguments, outputs = "nothing", "", []
        variable = self.variable("t")
        self.line(depth, f"{variable} = {name}({arguments})")
        if self.random.random() < 0.35:
            self.setting(scope, depth, variable, name)
        made = [(f"{variable}{suffix}", kind) for suffix, kind in outputs]
        scope.tasks.append(variable)
        scope.channels += made
        scope.made += made

    def setting(self, scope: Scope, depth: int, variable: str, name: str) -> None:
        common = ["set_caching_options(False)", "set_caching_options(True, 'key')", "set_retry(2, '30s', 1.5, '1h')",
                  "set_display_name('Shown name')"]  # fmt: skip
        if scope.tasks:
            common += [f"after({', '.join(self.random.sample(scope.tasks, min(2, len(scope.tasks))))})"] * 2
        if name not in GRAPHS:
            common += ["set_env_variable('A', 'b')", "set_cpu_limit('2')", "set_memory_request('3Gi')",
                       "set_accelerator_type('gpu').set_accelerator_limit(2)", "set_container_image('other:1')"]  # fmt: skip
        self.line(depth, f"{variable}.{self.random.choice(common)}")

    def condition(self, scope: Scope) -> str | None:
        found = [(e, k) for e, k in scope.channels if k in ("text", "number", "half", "flag")]
        if not found:
            return None
        expression, kind = self.random.choice(found)
        same = [e for e, k in found if k == kind and e != expression]
        if kind == "flag":
            return f"{expression} == {self.random.choice(['True', 'False'])}"
        operator = self.random.choice(["==", "!=", "<", "<=", ">", ">="])
        other = self.random.choice(same) if same and self.random.random() < 0.4 else self.random.choice(
            {"text": ["'a'", "'it'"], "number": ["1", "2.5"], "half": ["0.5", "1"]}[kind])  # fmt: skip
        return f"{expression} {operator} {other}"

    def make_if(self, scope: Scope, depth: int, level: int) -> None:
        condition = self.condition(scope)
        if condition is None:
            return self.task(scope, depth)
        self.line(depth, f"with dsl.If({condition}{self.named()}):")
        self.inside(scope, depth, level)
        return None

    def inside(self, scope: Scope, depth: int, level: int) -> Scope:
        inner = scope.inside()
        self.task(inner, depth + 1)
        self.block(inner, depth + 1, level + 1, self.random.randint(0, 2))
        return inner

    def named(self) -> str:
        return self.random.choice(["", "", ", name='A name'"])

    def make_chain(self, scope: Scope, depth: int, level: int) -> None:
        condition = self.condition(scope)
        if condition is None:
            return self.task(scope, depth)
        self.line(depth, f"with dsl.If({condition}):")
        branches = [self.inside(scope, depth, level)]
        if self.random.random() < 0.5:
            self.line(depth, f"with dsl.Elif({self.condition(scope)}):")
            branches.append(self.inside(scope, depth, level))
        self.line(depth, f"with dsl.Else({self.named().lstrip(', ')}):")
        branches.append(self.inside(scope, depth, level))
        kinds = set.intersection(*({kind for _, kind in branch.made} for branch in branches))
        if kinds:
            kind = self.random.choice(sorted(kinds))
            variable = self.variable("one")
            parts = [self.random.choice([e for e, k in branch.made if k == kind]) for branch in branches]
            self.line(depth, f"{variable} = dsl.OneOf({', '.join(parts)})")
            scope.channels.append((variable, f"oneof {kind}"))
            consumer = {"text": "text(x=", "number": "number(x=", "data": "read_data(data=", "texts": "join(xs=",
                        "numbers": "join_numbers(xs=", "half": "half(x=", "flag": "flag(x=", "bag": "bag(x="}  # fmt: skip
            if kind in consumer:
                made = self.variable("t")
                self.line(depth, f"{made} = {consumer[kind]}{variable})")
        return None

    def make_for(self, scope: Scope, depth: int, level: int) -> None:
        sources: list[tuple[str, str, bool]] = [
            (e, k, False) for e, k in scope.channels if k in ("texts", "numbers", "records", "datas")
        ]
        sources += [("['x', 'y']", "texts", True), ("[1, 2]", "numbers", True)]
        sources += [("[{'k': 'a'}, {'k': 'b'}]", "records", True)] if level == 0 else []
        expression, kind, constant = self.random.choice(sources)
        limit = self.random.choice(["", "", ", parallelism=2"])
        item = self.variable("item")
        self.line(depth, f"with dsl.ParallelFor({expression}{self.named()}{limit}) as {item}:")
        inner = scope.inside()
        inner.in_loop = True
        if kind == "records":
            if not constant:
                inner.channels.append((f"{item}.k", "text"))
            self.line(depth + 1, f"text(x={item}.k)")
        else:
            inner.channels.append((item, {"texts": "text", "numbers": "number", "datas": "data"}[kind]))
            # A loop whose item is not used is a document with a hole from kfp.
            user = {"texts": "text(x=", "numbers": "number(x=", "datas": "read_data(data="}[kind]
            self.line(depth + 1, f"{user}{item})")
        before = len(inner.made)
        self.task(inner, depth + 1)
        self.block(inner, depth + 1, level + 1, self.random.randint(0, 2))
        made = [(e, k) for e, k in inner.made[before:] if k in LISTED]
        if made and self.random.random() < 0.6:
            expression, kind = self.random.choice(made)
            consumer = {"text": "join(xs=", "number": "join_numbers(xs=", "data": "read_all(data="}[kind]
            self.line(depth, f"{self.variable('t')} = {consumer}dsl.Collected({expression}))")

    def make_exit(self, scope: Scope, depth: int, level: int) -> None:
        leaving = self.variable("bye")
        self.line(depth, f"{leaving} = {self.random.choice(['bye()', 'nothing()', 'inner(n=2)'])}")
        self.line(depth, f"with dsl.ExitHandler({leaving}{self.named()}):")
        self.inside(scope, depth, level)


def random_program(seed: int) -> str:
    return Program(seed).text()
