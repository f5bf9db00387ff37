"""Components read from files: IR YAML and KFP 1's; it reads and fetches them, and does not run them."""

from __future__ import annotations

import sys as _sys

from headrace.components.from_kfp import from_kfp
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
    "from_kfp",
    "load_component_from_file",
    "load_component_from_text",
    "load_component_from_url",
    "placeholders",
    "structures",
]

# `from kfp.components.placeholders import ...` is found in user code; these are the modules of the SDK.
for _module in (base_component, placeholders, structures):
    _sys.modules.setdefault(f"{__name__}.{_module.__name__.rpartition('.')[2]}", _module)
