"""What models report of several outputs is what Keras reports, in its order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ferrnn
from reports import CASES, report

GOLDEN = json.loads((Path(__file__).parent / "reports.json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("name", CASES)
def test_reports_are_those_of_keras(name: str) -> None:
    expected, found = GOLDEN["reports"][name], report(ferrnn, name)
    for part in ("names_before", "names", "kinds"):
        assert found[part] == expected[part], part
    for part in ("evaluate", "test_on_batch", "train_on_batch"):
        assert found[part] == pytest.approx(expected[part], rel=1e-6), part
    for part in ("logs", "history"):
        assert list(found[part]) == list(expected[part])
        assert found[part] == pytest.approx(expected[part], rel=1e-6)
