"""A service with its owner's session in one object, for tests in which nobody but the owner asks."""

from __future__ import annotations

from typing import Any

from headrace.service import service as product
from headrace.service.access import Access, Caller, owner
from headrace.service.context import Context
from headrace.service.session import Session
from headrace.service.settings import Settings


class Service(Session):
    """Opened like the product's `Service`, and asked like a `Session`."""

    def __init__(self, opened: product.Service) -> None:
        super().__init__(opened._context, opened._loop, owner())
        self._opened = opened

    @classmethod
    async def open(cls, settings: Settings, **options: Any) -> Service:
        """As the product's."""
        return cls(await product.Service.open(settings, **options))

    @classmethod
    async def over(cls, context: Context, drive: bool = True) -> Service:
        """As the product's."""
        return cls(await product.Service.over(context, drive))

    def for_caller(self, caller: Caller, *, only: Access | None = None) -> Session:
        """As the product's."""
        return self._opened.for_caller(caller, only=only)

    async def broken(self) -> None:
        """As the product's."""
        await self._opened.broken()

    async def close(self) -> None:
        """As the product's."""
        await self._opened.close()

    @property
    def _sharing(self) -> Any:
        return self._opened._sharing

    @property
    def _ticker(self) -> Any:
        return self._opened._ticker

    @property
    def _expiry(self) -> Any:
        return self._opened._expiry
