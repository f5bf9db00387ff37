"""What a Python component needs in the image that `headrace component build` makes."""

from __future__ import annotations

from typing import NamedTuple


class ImageRecipe(NamedTuple):
    """The arguments of `@dsl.component` that a build needs."""

    base_image: str
    target_image: str | None
    packages: tuple[str, ...]
    index_urls: tuple[str, ...]
    #: None: the hosts of the indexes are trusted.
    trusted_hosts: tuple[str, ...] | None
    output_component_file: str | None
