"""What may stand in packages_to_install."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import dsl
from headrace.dsl.errors import DslError


def component_with(items: list[Any]) -> Any:
    def work():
        pass

    return dsl.component(work, packages_to_install=items)


@pytest.mark.parametrize(
    "items",
    [
        ["six"],
        ["--extra-index-url", "https://user:secret@example.org:8443/simple", "six"],
        ["--extra-index-url=https://example.org/simple?a=1&b=2", "six"],
        ["--upgrade", "six"],
        ["-U", "--no-cache-dir", "six"],
        ["six @ https://example.org/six.whl?a=1&b=2"],
        ["tomli; python_version < '3.11'"],
    ],
)
def test_what_pip_takes_is_taken(items: list[str]) -> None:
    install = component_with(items).component_spec.implementation.command[2]
    assert all(repr(item) in install for item in items)


@pytest.mark.parametrize(
    "items",
    [
        ["-r", "requirements.txt"],
        ["-e", "."],
        ["--constraint=c.txt"],
        ["--target", "/x", "six"],
        ["six", "--extra-index-url"],
        ["--extra-index-url", "https://$USER:$TOKEN@example.org/simple", "six"],
        ["six==$VERSION"],
        [""],
        [3],
        ["six\nattrs"],
    ],
)
def test_what_cannot_be_installed_is_refused_at_the_definition(items: list[Any]) -> None:
    with pytest.raises(DslError) as caught:
        component_with(items)
    assert caught.value.code == "PACKAGE_INVALID"
    assert caught.value.location is not None and caught.value.location.file == __file__
