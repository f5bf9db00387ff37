"""How the tests of the authoring language look at a refusal: its code, its location in this file, and its help."""

from __future__ import annotations

import linecache
from collections.abc import Callable

import pytest

from headrace import dsl
from headrace.dsl.errors import DslError

Refused = Callable[[str, Callable[[], object]], DslError]


@pytest.fixture
def refused() -> Refused:
    """`refused(code, make)`: making is refused with that code, at the line marked `# here`, saying how to go on."""

    def check(code: str, make: Callable[[], object]) -> DslError:
        with pytest.raises(DslError) as caught:
            make()
        error = caught.value
        assert error.code == code, str(error)
        assert error.location is not None
        assert error.location.file == make.__code__.co_filename, str(error)
        assert "# here" in linecache.getline(error.location.file, error.location.line), str(error)
        assert str(error.location) in str(error)
        assert code in str(error)
        return error

    return check


@pytest.fixture(autouse=True)
def no_pipeline_left_open() -> object:
    """A refused pipeline must not stay the current one."""
    yield
    from headrace.dsl.pipeline_context import Pipeline

    assert Pipeline.get_default_pipeline() is None
    assert dsl.component is not None
