"""A recorded reason as the API shows it."""

from __future__ import annotations

from headrace.engine.model import Reason
from headrace.wire import api


def reason_view(reason: Reason) -> api.ReasonView:
    """Code, sentence and details."""
    return api.ReasonView(code=reason.code, message=reason.message, details=reason.details)


def optional_reason_view(reason: Reason | None) -> api.ReasonView | None:
    """As `reason_view`; None where no reason is recorded."""
    return None if reason is None else reason_view(reason)
