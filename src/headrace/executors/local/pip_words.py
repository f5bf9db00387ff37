"""Pip's options among a component's packages: what they mean to uv, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal
from headrace.spec.pip_options import KEPT, PipOptionError, read_options


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
            case _ if option in KEPT:
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
    try:
        yield from read_options(items)
    except PipOptionError as error:
        raise Refusal(Code.PACKAGE_INSTALL_FAILED, str(error), retryable=False) from None


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
