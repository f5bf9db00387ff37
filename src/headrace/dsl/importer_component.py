"""The names of `kfp.dsl.importer_component`, where code written for KFP looks for them."""

from __future__ import annotations

from headrace.dsl.base_component import ImporterComponent as ImporterComponent
