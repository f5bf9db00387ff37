"""What all parts of the client of Headrace's own API have in common."""

from __future__ import annotations

from typing import TypeVar

from headrace.client import core
from headrace.client.transport import Transport

T = TypeVar("T")


class OwnApi:
    """Sends requests and reads their answers."""

    transport: Transport

    def _ask(self, request: core.HttpRequest, kind: type[T]) -> T:
        return core.read(self.transport.send(request), kind)
