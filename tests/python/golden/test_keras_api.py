"""Every name of Keras is here with its arguments, or is said to be different or missing."""

from __future__ import annotations

import pytest

import ferrnn
from api_report import KNOWN, PAGE, Report, difference, page_with
from each_case import each_case
from signatures import arguments


@pytest.fixture(scope="module")
def report() -> Report:
    return Report()


def test_arguments_differ_only_where_a_reason_is_given(report: Report) -> None:
    differences = report.differences()
    assert differences.keys() - KNOWN.keys() == set(), "give a reason in KNOWN, or take Keras' way"
    assert KNOWN.keys() - differences.keys() == set(), "no longer different: remove from KNOWN"


def test_the_page_says_what_holds(report: Report) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert report.version in page
    assert page == page_with(report.text()), (
        "docs/keras-api.md is out of date: python tests/python/golden/api_report.py"
    )


def test_what_users_of_recurrent_layers_call_is_the_same(report: Report) -> None:
    for name in ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "Bidirectional", "TimeDistributed"):
        assert name in report.same["layers"]
    assert {"fit", "evaluate", "predict", "compile", "summary"} <= set(report.same["Model()"])
    assert report.missing["losses"] == report.missing["metrics"] == []


@each_case(
    ("keras", "ours", "expected"),
    [
        (["x", "axis=None"], ["x", "axis=None", "out=None"], ""),
        (["x", "b=4"], ["x", "b=4.0"], ""),
        (["x", "**kwargs"], ["x"], ""),
        (["*args", "**kwargs"], ["x"], ""),
        (None, ["x"], ""),
        (["x", "seed=None"], ["x", "**options"], ""),
        (["x", "axis=None"], ["x"], "no `axis`"),
        (["x", "axis=-1"], ["x", "axis=None"], "`axis` is None (-1 in Keras)"),
        (["x"], ["x=1"], "`x` is 1 (needed in Keras)"),
        (["a=1", "b=2"], ["b=2", "a=1"], "another order"),
        (["a=1", "b=2"], ["a=1", "c=3", "b=2"], "another order"),
        (["a", "b=2"], ["a", "*", "b=2"], "another order"),
    ],
)
def test_differences_are_found(keras, ours, expected) -> None:
    assert difference(keras, ours) == expected


def test_arguments_by_name_alone_are_marked() -> None:
    assert arguments(lambda self, a, *, b=2: None) == ["a", "*", "b=2"]
    assert arguments(ferrnn.layers.TimeDistributed) == ["layer", "**kwargs"]
