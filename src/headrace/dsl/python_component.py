"""The names of `kfp.dsl.python_component`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.dsl.base_component import PythonComponent as PythonComponent
