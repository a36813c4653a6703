"""The two ways of running a cell over time, for tests that hold for both."""

from __future__ import annotations

import pytest

from ferrnn._src.sequence import fused


@pytest.fixture(params=["fused", "stepwise"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test once in the engine and once step by step."""
    if request.param == "stepwise":
        monkeypatch.setattr(fused, "supports", lambda cell: False)
    return str(request.param)
