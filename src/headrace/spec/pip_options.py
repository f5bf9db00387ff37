"""Pip's options among a component's packages: which can be used, and where each has its value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_SHORT = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-I": "--ignore-installed",
    "-U": "--upgrade",
    "-q": "--quiet",
    "-v": "--verbose",
}
#: Say where packages come from; each has a value.
_PLACES = frozenset({"--index-url", "--extra-index-url", "--find-links", "--trusted-host"})
#: Mean the same to uv; of these, `_WITH_VALUE` have a value.
KEPT = frozenset({"--no-deps", "--no-index", "--prerelease", "--only-binary", "--no-binary", "--no-build-isolation"})
#: Have no meaning here: each environment is new, made without a terminal, from uv's own cache.
_IGNORED_WORDS = """
    --upgrade --quiet --verbose --ignore-installed --force-reinstall --no-cache-dir --no-cache --user --no-input
    --disable-pip-version-check --no-warn-script-location --no-color --prefer-binary --break-system-packages
    --no-python-version-warning
"""
_IGNORED_WITH_VALUE = """
    --progress-bar --root-user-action --retries --timeout --default-timeout --upgrade-strategy --exists-action
    --cache-dir
"""
_IGNORED = frozenset((_IGNORED_WORDS + _IGNORED_WITH_VALUE).split())
_WITH_VALUE = _PLACES | {"--prerelease", "--only-binary", "--no-binary"} | frozenset(_IGNORED_WITH_VALUE.split())


class PipOptionError(ValueError):
    """An option among the packages that cannot be used, or one without its value."""


def read_options(items: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`(option, value)` of each option, `("", requirement)` of each requirement.

    Raises:
        PipOptionError: An option cannot be used here, or has no value.
    """
    left = list(items)
    while left:
        item = left.pop(0).strip()
        if not item.startswith("-"):
            yield "", item
            continue
        word, separator, value = item.replace(" ", "=", 1).partition("=")
        option = _SHORT.get(word, word)
        if option not in _PLACES | KEPT | _IGNORED | {"--pre"}:
            raise PipOptionError(
                f"packages_to_install holds the option {word!r}, which cannot be used here. Options that say where "
                "packages come from can: --index-url, --extra-index-url, --find-links, --trusted-host."
            )
        if option in _WITH_VALUE and not separator:
            if not left:
                raise PipOptionError(f"The option {word!r} in packages_to_install has no value after it.")
            value = left.pop(0)
        yield option, value.strip()
