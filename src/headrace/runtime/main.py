"""Runs one Python component. Started by file path: `python …/headrace/runtime/main.py REQUEST`.
With `--parent FD` instead, it becomes a parent of warm starts.

This file is compiled by every start, so it is very short: `names` says what a task finds under our
names, `attempt` does the work.
"""

import os
import sys


def add_names() -> None:
    """Make our names importable, whatever the environment holds: they are found from the path of this file."""
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    sys.path.insert(0, packages)
    try:
        from headrace.runtime import names
    finally:
        sys.path.remove(packages)
    names.add(packages)


def main() -> int:
    """Do the work."""
    sys.path[0] = os.getcwd()  # noqa: PTH109 - was this file's directory, which must not shadow the user's modules
    add_names()

    if sys.argv[1] == "--parent":
        from headrace.runtime import parent

        return parent.main(int(sys.argv[2]))
    from headrace.runtime import attempt

    return attempt.main(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
if __name__ == "__mp_main__":
    # A process that the user's code has started with `multiprocessing`, about to import the component's source.
    add_names()
