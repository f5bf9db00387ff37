"""How long importing and compiling take, beside kfp in the same minute on the same machine.

    .venv/bin/python benchmarks/compile.py                   # kfp at 500 tasks: about a minute
    .venv/bin/python benchmarks/compile.py --kfp 500 2000    # kfp at 2,000 takes half a minute more
    .venv/bin/python benchmarks/compile.py --json result.json

Each figure is CPU time of a fresh process. Absolute times are this machine's; the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

#: As on users' machines, byte code is written.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

PROGRAM = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
from {package} import compiler, dsl

@dsl.component
def add(a: int, b: int) -> int:
    return a + b

def chain(count):
    last = add(a=1, b=1)
    for _ in range(count - 1):
        last = add(a=last.output, b=1)

def loops(count):
    for _ in range(count):
        with dsl.ParallelFor([1, 2, 3]) as item:
            add(a=add(a=item, b=1).output, b=2)

def measure(shape, count, path):
    start = time.process_time()
    @dsl.pipeline(name="measured")
    def measured():
        shape(count)
    compiler.Compiler().compile(measured, path)
    return time.process_time() - start

seconds = measure(dict(chain=chain, loops=loops)[sys.argv[1]], int(sys.argv[2]), sys.argv[3])
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=round(seconds, 4), megabytes=round(megabytes))))
"""
CPU = "import resource; u = resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"


def _run(arguments: list[str]) -> str:
    done = subprocess.run([sys.executable, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout


def compiled(package: str, shape: str, count: int, folder: Path) -> dict[str, Any]:
    program = folder / f"{package}_program.py"
    program.write_text(PROGRAM.replace("{package}", package))
    found = json.loads(_run([str(program), shape, str(count), str(folder / "out.yaml")]))
    found["milliseconds_per_task"] = round(found["seconds"] * 1000 / (count * (2 if shape == "loops" else 1)), 3)
    return {"package": package, "shape": shape, "count": count, **found}


def import_cpu(statement: str, times: int = 5) -> float:
    """The best of several processes: CPU milliseconds of the whole process."""
    _run(["-c", statement])
    return round(min(float(_run(["-c", f"{statement}\n{CPU}"])) for _ in range(times)) * 1000, 1)


def imports() -> dict[str, float]:
    nothing = import_cpu("pass")
    return {
        "python -c pass": nothing,
        "headrace above it": round(import_cpu("from headrace import dsl, compiler") - nothing, 1),
        "kfp above it": round(import_cpu("from kfp import dsl, compiler", times=3) - nothing, 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kfp", type=int, nargs="*", default=[500], help="sizes of the chain that kfp compiles too")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    report: dict[str, Any] = {"import, CPU milliseconds": imports(), "compile": []}
    for name, value in report["import, CPU milliseconds"].items():
        print(f"{name:20} {value:8.1f} ms")
    jobs = [("headrace", "chain", count) for count in (500, 1000, 2000, 10_000)]
    jobs += [("headrace", "loops", 1000), *(("kfp", "chain", count) for count in given.kfp)]
    with tempfile.TemporaryDirectory() as folder:
        for package, shape, count in jobs:
            row = compiled(package, shape, count, Path(folder))
            report["compile"].append(row)
            print(
                f"{package:9} {shape:6} {count:6}  {row['seconds']:8.2f} s  "
                f"{row['milliseconds_per_task']:7.3f} ms a task  {row['megabytes']:5} MB"
            )
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
