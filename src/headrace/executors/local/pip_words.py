"""Pip's options among a component's packages: what they mean to uv, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal

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
_KEPT = frozenset({"--no-deps", "--no-index", "--prerelease", "--only-binary", "--no-binary", "--no-build-isolation"})
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


class Installation(msgspec.Struct, kw_only=True):
    """What uv is to install, and where from."""

    requirements: list[str] = []
    index_url: str = ""
    extra_index_urls: list[str] = []
    find_links: list[str] = []
    insecure_hosts: list[str] = []
    #: Options of `uv pip install`.
    options: list[str] = []

    def variables(self, given: dict[str, str]) -> dict[str, str]:
        """Environment variables of uv that say where packages come from, added to the `given` ones.

        An index is never an argument: a command line can be read by every user of the machine, and an index's URL may
        hold a password.
        """
        found = dict(given)
        if self.index_url:
            found.pop("UV_INDEX_URL", None)
            found["UV_DEFAULT_INDEX"] = self.index_url
        _extend(found, "UV_INDEX", self.extra_index_urls, " ")
        _extend(found, "UV_FIND_LINKS", self.find_links, ",")
        _extend(found, "UV_INSECURE_HOST", self.insecure_hosts, " ")
        return found

    def secrets(self) -> list[str]:
        """Texts that no message may show, the longest first."""
        urls = [self.index_url, *self.extra_index_urls, *self.find_links, *self.requirements]
        return sorted({secret for url in urls for secret in _secrets_of(url)}, key=len, reverse=True)


def installation(requirements: Sequence[str], index_urls: Sequence[str], trusted_hosts: Sequence[str]) -> Installation:
    """What a component asks for. Raises Refusal PACKAGE_INSTALL_FAILED for an option of pip that cannot be used."""
    made = Installation(index_url=index_urls[0] if index_urls else "", extra_index_urls=list(index_urls[1:]))
    made.insecure_hosts = [host_of(host) for host in trusted_hosts]
    for option, value in _read(requirements):
        match option:
            case "":
                made.requirements.append(value)
            case "--index-url":
                made.index_url = value
            case "--extra-index-url":
                made.extra_index_urls.append(value)
            case "--find-links":
                made.find_links.append(value)
            case "--trusted-host":
                made.insecure_hosts.append(host_of(value))
            case "--pre":
                made.options.append("--prerelease=allow")
            case _ if option in _KEPT:
                made.options.append(f"{option}={value}" if value else option)
            case _:
                pass  # it changes nothing here
    return made


def host_of(text: str) -> str:
    """`host[:port]` of a URL, or the text itself when it is one already."""
    if "://" not in text:
        return text.strip("/")
    return urlsplit(text).netloc.rpartition("@")[2]


def hide(text: str, secrets: Sequence[str]) -> str:
    """The text without these secrets, and without the user and password that any URL may hold."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"(?<=://)[^/\s'\"`]*@", "***@", text)


def _read(items: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`(option, value)` of each option, `("", requirement)` of each requirement."""
    left = list(items)
    while left:
        item = left.pop(0).strip()
        if not item.startswith("-"):
            yield "", item
            continue
        word, separator, value = item.replace(" ", "=", 1).partition("=")
        option = _SHORT.get(word, word)
        if option not in _PLACES | _KEPT | _IGNORED | {"--pre"}:
            message = (
                f"packages_to_install holds the option {word!r}, which cannot be used here. Options that say where "
                "packages come from can: --index-url, --extra-index-url, --find-links, --trusted-host."
            )
            raise Refusal(Code.PACKAGE_INSTALL_FAILED, message, retryable=False)
        if option in _WITH_VALUE and not separator:
            if not left:
                message = f"The option {word!r} in packages_to_install has no value after it."
                raise Refusal(Code.PACKAGE_INSTALL_FAILED, message, retryable=False)
            value = left.pop(0)
        yield option, value.strip()


def _extend(found: dict[str, str], name: str, more: Sequence[str], separator: str) -> None:
    if more:
        found[name] = separator.join([*([found[name]] if found.get(name) else []), *more])


def _secrets_of(url: str) -> Iterator[str]:
    """User and password, each and together, as written and as meant, and the query."""
    for part in re.findall(r"\w+://\S+", url):
        parts = urlsplit(part)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        for secret in (f"{user}:{password}" if password else "", password, "" if password else user, parts.query):
            if len(secret) > 2:
                yield secret
                yield unquote(secret)
