"""Losses and their gradients against Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

import ferrnn
import golden
from each_case import each_case
from ferrnn import Gradients


def _options(about: dict[str, Any]) -> dict[str, Any]:
    """The options; Keras up to 3.15 has Tversky's weights the other way round."""
    options = dict(about["options"])
    if about["loss"] == "Tversky" and "alpha" in options:
        options |= {"alpha": options["beta"], "beta": options["alpha"]}
    return options


@each_case("name", golden.names("losses"))
def test_value_and_gradient_are_those_of_keras(name: str) -> None:
    case = golden.load("losses", name)
    loss = getattr(ferrnn.losses, case.about["loss"])(**_options(case.about))
    weight, mask = case.get("sample_weight"), case.get("mask")
    y_true, y_pred = case["y_true"], case["y_pred"]
    value, vjp = loss.forward(y_true, y_pred, sample_weight=weight, mask=mask)
    np.testing.assert_allclose(value, case["value"], rtol=1e-12)
    d_pred = vjp(case["d_value"], Gradients())
    assert d_pred.shape == y_pred.shape
    np.testing.assert_allclose(d_pred, case["d_pred"], rtol=1e-11, atol=1e-14)
    if mask is None:
        np.testing.assert_array_equal(loss(y_true, y_pred, sample_weight=weight), value)


@each_case("name", [n for n in golden.names("losses") if n.endswith("-masked")])
def test_masked_entries_do_not_matter(name: str) -> None:
    case = golden.load("losses", name)
    loss = getattr(ferrnn.losses, case.about["loss"])(**case.about["options"])
    spoiled = np.where(case["mask"][..., None], case["y_pred"], 0.25)
    value, _ = loss.forward(case["y_true"], spoiled, mask=case["mask"])
    np.testing.assert_allclose(value, case["value"], rtol=1e-12)
