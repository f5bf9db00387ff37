"""Components read from files: IR YAML and KFP 1's; knows how to read and fetch them, never how to run them."""

from __future__ import annotations

import sys as _sys

from headrace.components.loading import (
    load_component_from_file,
    load_component_from_text,
    load_component_from_url,
)
from headrace.dsl import base_component, placeholders, structures
from headrace.dsl.base_component import BaseComponent, ContainerComponent, PythonComponent, YamlComponent

__all__ = [
    "BaseComponent",
    "ContainerComponent",
    "PythonComponent",
    "YamlComponent",
    "base_component",
    "load_component_from_file",
    "load_component_from_text",
    "load_component_from_url",
    "placeholders",
    "structures",
]

# `from kfp.components.placeholders import ...` is written in the wild; these are the language's own modules.
for _module in (base_component, placeholders, structures):
    _sys.modules.setdefault(f"{__name__}.{_module.__name__.rpartition('.')[2]}", _module)
