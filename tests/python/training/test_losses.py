"""Losses: their formulas, their gradients, reductions, weights, masks and errors."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Gradients, Loss
from ferrnn._src.layer.masked import attach_mask
from ferrnn._src.training import losses
from ferrnn._src.training.loss import LossFunctionWrapper
from ferrnn.testing import check_vjp

EPS = 1e-7


def probabilities(rng, shape):
    raw = rng.uniform(0.05, 1.0, shape)
    return raw / raw.sum(-1, keepdims=True)


def one_by_one(formula, y_true, y_pred):
    """`formula` for each row of the last axis, in plain loops."""
    rows = y_pred.reshape(-1, y_pred.shape[-1])
    labels = y_true.reshape(len(rows), -1)
    return np.array([formula(t, p) for t, p in zip(labels, rows, strict=True)]).reshape(
        y_pred.shape[:-1]
    )


def smoothed(labels, amount, target):
    return [label * (1 - amount) + amount * target for label in labels]


def binary_row(labels, row):
    return -np.mean(
        [
            label * np.log(min(max(p, EPS), 1 - EPS))
            + (1 - label) * np.log(1 - min(max(p, EPS), 1 - EPS))
            for label, p in zip(labels, row, strict=True)
        ]
    )


def categorical_row(labels, row):
    total = sum(row)
    return -sum(
        label * np.log(min(max(p / total, EPS), 1 - EPS))
        for label, p in zip(labels, row, strict=True)
    )


def softmax_row(row):
    return np.exp(row) / np.exp(row).sum()


def sigmoid_row(row):
    return 1 / (1 + np.exp(-row))


CASES = {
    "mse": (losses.MeanSquaredError(), lambda t, p: np.mean((t - p) ** 2)),
    "mae": (losses.MeanAbsoluteError(), lambda t, p: np.mean(abs(t - p))),
    "binary": (losses.BinaryCrossentropy(), binary_row),
    "binary_smoothed": (
        losses.BinaryCrossentropy(label_smoothing=0.2),
        lambda t, p: binary_row(smoothed(t, 0.2, 0.5), p),
    ),
    "binary_logits": (
        losses.BinaryCrossentropy(from_logits=True),
        lambda t, p: binary_row(t, sigmoid_row(p)),
    ),
    "categorical": (losses.CategoricalCrossentropy(), categorical_row),
    "categorical_smoothed": (
        losses.CategoricalCrossentropy(label_smoothing=0.3),
        lambda t, p: categorical_row(smoothed(t, 0.3, 1 / len(t)), p),
    ),
    "categorical_logits": (
        losses.CategoricalCrossentropy(from_logits=True),
        lambda t, p: categorical_row(t, softmax_row(p)),
    ),
    "sparse": (
        losses.SparseCategoricalCrossentropy(),
        lambda t, p: -np.log(p[int(t[0])] / p.sum()),
    ),
    "sparse_logits": (
        losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda t, p: -np.log(softmax_row(p)[int(t[0])]),
    ),
}


def case_arrays(name, shape):
    rng = np.random.default_rng(3)
    if name.startswith("sparse"):
        y_true = rng.integers(0, shape[-1], shape[:-1])
    else:
        y_true = rng.uniform(size=shape)
    y_pred = rng.normal(size=shape) * 2 if "logits" in name else probabilities(rng, shape)
    return y_true, y_pred


@each_case("shape", [(1, 3), (5, 2), (4, 3, 6)])
@each_case("name", CASES)
def test_values_are_the_formula_row_by_row(name, shape):
    loss, formula = CASES[name]
    y_true, y_pred = case_arrays(name, shape)
    expected = one_by_one(formula, y_true, y_pred)
    np.testing.assert_allclose(loss.values(y_true, y_pred), expected, rtol=1e-12)
    np.testing.assert_allclose(loss(y_true, y_pred), expected.mean(), rtol=1e-12)


@each_case("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@each_case("name", CASES)
def test_gradients_match_finite_differences(name, reduction):
    y_true, y_pred = case_arrays(name, (4, 3, 5))
    rng = np.random.default_rng(5)
    mask = rng.random((4, 3)) > 0.3
    config = {**CASES[name][0].get_config(), "reduction": reduction}
    loss = type(CASES[name][0]).from_config(config)
    weight = rng.uniform(0.1, 2.0, (4, 3))

    def forward(pred):
        value, vjp = loss.forward(y_true, pred, sample_weight=weight, mask=mask)
        return np.asarray(value), lambda d, grads: vjp(float(d), grads)

    check_vjp(forward, y_pred)


def test_gradient_of_squared_and_absolute_error_is_the_closed_form():
    true, pred = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[2.0, 2.0], [0.0, -1.0]])
    _, vjp = losses.MeanSquaredError().forward(true, pred)
    np.testing.assert_array_equal(vjp(1.0, Gradients()), 2 * (pred - true) / 4)
    _, vjp = losses.MeanAbsoluteError().forward(true, pred)
    np.testing.assert_array_equal(vjp(2.0, Gradients()), 2 * np.sign(pred - true) / 4)


def test_a_clipped_prediction_does_not_move_the_loss():
    pred = np.array([[-0.5, 1e-9, 0.5, 1.0, 2.0]])
    _, vjp = losses.BinaryCrossentropy().forward(np.array([[1.0, 0, 1, 0, 1]]), pred)
    np.testing.assert_allclose(vjp(1.0, Gradients()), [[0, 0, -2.0 / 5, 0, 0]])
    _, vjp = losses.CategoricalCrossentropy().forward(np.eye(2)[:1], np.array([[0.0, 1.0]]))
    assert not vjp(1.0, Gradients()).any()


def test_asking_twice_gives_the_same_gradient():
    _, vjp = losses.CategoricalCrossentropy().forward(*case_arrays("categorical", (3, 4)))
    np.testing.assert_array_equal(vjp(1.0, Gradients()), vjp(1.0, Gradients()))


def test_sparse_is_categorical_with_one_hot_labels():
    labels, pred = case_arrays("sparse", (6, 4))
    sparse, dense = losses.SparseCategoricalCrossentropy(), losses.CategoricalCrossentropy()
    value, vjp = sparse.forward(labels, pred)
    other, other_vjp = dense.forward(np.eye(4)[labels], pred)
    np.testing.assert_allclose(value, other, rtol=1e-15)
    np.testing.assert_allclose(vjp(1.0, Gradients()), other_vjp(1.0, Gradients()), rtol=1e-12)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_certain_and_wrong_is_a_finite_loss(from_logits, dtype):
    sure = np.array([[200.0, -200.0]] if from_logits else [[1.0, 0.0]], dtype)
    for loss, labels in [
        (losses.BinaryCrossentropy(from_logits), [[0.0, 1.0]]),
        (losses.CategoricalCrossentropy(from_logits), [[0.0, 1.0]]),
        (losses.SparseCategoricalCrossentropy(from_logits), [1]),
    ]:
        value, vjp = loss.forward(np.asarray(labels), sure)
        assert np.isfinite(value)
        assert value > 10
        gradient = vjp(1.0, Gradients())
        assert gradient.dtype == dtype
        assert np.isfinite(gradient).all()


class TestReduction:
    true, pred = np.zeros((2, 3, 1)), np.arange(1.0, 7.0).reshape(2, 3, 1)

    def test_each_kind(self):
        squares = [1.0, 4.0, 9.0, 16.0, 25.0, 36.0]
        assert losses.MeanSquaredError()(self.true, self.pred) == pytest.approx(np.mean(squares))
        assert losses.MeanSquaredError("sum")(self.true, self.pred) == sum(squares)
        assert losses.MeanSquaredError("mean")(self.true, self.pred) == pytest.approx(
            np.mean(squares)
        )
        for none in (None, "none"):
            values = losses.MeanSquaredError(none)(self.true, self.pred)
            assert values.ravel().tolist() == squares

    def test_weights_do_not_change_the_divisor_unless_asked_for(self):
        weight = np.array([2.0, 0.0])
        plain = losses.MeanSquaredError()(self.true, self.pred, sample_weight=weight)
        assert plain == pytest.approx(2 * (1 + 4 + 9) / 6)
        by_weight = losses.MeanSquaredError("mean_with_sample_weight")
        assert by_weight(self.true, self.pred, weight) == pytest.approx((1 + 4 + 9) / 3)

    def test_mask_leaves_the_mean_over_what_counts(self):
        mask = np.array([[True, False, True], [False, False, True]])
        expected = (1 + 9 + 36) / 3
        for loss in (losses.MeanSquaredError(), losses.MeanSquaredError("mean")):
            assert loss(self.true, attach_mask(self.pred, mask)) == pytest.approx(expected)
        total = losses.MeanSquaredError("sum")(self.true, attach_mask(self.pred, mask))
        assert total == 1 + 9 + 36

    def test_nothing_that_counts_is_zero(self):
        mask = np.zeros((2, 3), bool)
        assert losses.MeanSquaredError()(self.true, attach_mask(self.pred, mask)) == 0
        assert losses.MeanSquaredError()(np.zeros((0, 2)), np.zeros((0, 2))) == 0

    def test_targets_without_the_last_axis(self):
        flat = self.true[..., 0]
        value = losses.MeanSquaredError()(flat, self.pred)
        assert value == pytest.approx(losses.MeanSquaredError()(self.true, self.pred))
        mask = np.array([[True, False, True], [False, False, True]])
        assert losses.MeanSquaredError()(flat, attach_mask(self.pred, mask)) == pytest.approx(
            46 / 3
        )
        assert losses.MeanSquaredError()(np.zeros(4), np.ones((4, 1))) == 1


class TestIgnoredClass:
    def test_counts_for_nothing(self):
        pred = probabilities(np.random.default_rng(0), (5, 3))
        labels = np.array([0, -1, 2, -1, 1])
        keep = labels >= 0
        loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
        plain = losses.SparseCategoricalCrossentropy()
        assert loss(labels, pred) == pytest.approx(plain(labels[keep], pred[keep]))
        _, vjp = loss.forward(labels, pred)
        _, kept_vjp = plain.forward(labels[keep], pred[keep])
        gradient = vjp(1.0, Gradients())
        assert not gradient[~keep].any()
        np.testing.assert_allclose(gradient[keep], kept_vjp(1.0, Gradients()), rtol=1e-12)

    def test_may_be_predicted_by_anything(self):
        pred = np.array([[0.5, 0.5], [0.0, 0.0], [np.nan, np.nan]])
        loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
        with np.errstate(invalid="ignore", divide="ignore"):
            value, vjp = loss.forward(np.array([1, 255, 255]), pred)
            gradient = vjp(1.0, Gradients())
        assert value == pytest.approx(np.log(2))
        assert np.isfinite(gradient).all()


class TestByName:
    @pytest.mark.parametrize(
        ("names", "function"),
        [
            (("mse", "MSE", "mean_squared_error"), losses.mean_squared_error),
            (("mae", "MAE", "mean_absolute_error"), losses.mean_absolute_error),
            (("bce", "BCE", "binary_crossentropy"), losses.binary_crossentropy),
            (("categorical_crossentropy",), losses.categorical_crossentropy),
            (("sparse_categorical_crossentropy",), losses.sparse_categorical_crossentropy),
        ],
    )
    def test_a_snake_name_is_the_function(self, names, function):
        for name in names:
            assert losses.get(name) is function

    def test_a_class_name_is_an_object(self):
        for name in ("MeanSquaredError", "BinaryCrossentropy", "SparseCategoricalCrossentropy"):
            assert type(losses.get(name)).__name__ == name

    def test_configurations_classes_objects_and_callables(self):
        made = losses.get({"class_name": "CategoricalCrossentropy", "config": {"axis": 1}})
        assert made.axis == 1
        assert isinstance(losses.get(losses.MeanSquaredError), losses.MeanSquaredError)
        loss = losses.MeanAbsoluteError()
        assert losses.get(loss) is loss
        assert losses.get(len) is len
        assert losses.get(None) is None

    def test_unknown(self):
        with pytest.raises(ValueError, match="Could not interpret loss identifier: 'msr'"):
            losses.get("msr")

    def test_configuration_makes_an_equal_loss(self):
        for loss, _ in CASES.values():
            again = type(loss).from_config(loss.get_config())
            assert again.get_config() == loss.get_config()


class TestOfAnotherKind:
    def test_classes_on_another_axis(self):
        y_true, y_pred = case_arrays("categorical", (4, 3, 5))
        last = losses.CategoricalCrossentropy()
        middle = losses.CategoricalCrossentropy(axis=1)
        value, vjp = middle.forward(np.moveaxis(y_true, -1, 1), np.moveaxis(y_pred, -1, 1))
        expected, expected_vjp = last.forward(y_true, y_pred)
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(
            vjp(1.0, Gradients()), np.moveaxis(expected_vjp(1.0, Gradients()), -1, 1)
        )

    @pytest.mark.parametrize("with_axis", [False, True])
    def test_class_numbers_with_classes_on_another_axis(self, with_axis):
        y_true, y_pred = case_arrays("sparse", (4, 3, 5))
        last = losses.SparseCategoricalCrossentropy(ignore_class=2)
        middle = losses.SparseCategoricalCrossentropy(ignore_class=2, axis=1)
        moved = np.moveaxis(y_pred, -1, 1)
        value, vjp = middle.forward(y_true[:, None] if with_axis else y_true, moved)
        expected, expected_vjp = last.forward(y_true, y_pred)
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(
            vjp(1.0, Gradients()), np.moveaxis(expected_vjp(1.0, Gradients()), -1, 1)
        )

    def test_a_function_trains(self):
        loss = LossFunctionWrapper(lambda y_true, y_pred: (y_true - y_pred) ** 4, name="quartic")
        assert loss(np.zeros((2, 1)), np.full((2, 1), 2.0)) == 16
        check_vjp(
            lambda pred: _as_array_pair(loss.forward(np.ones((3, 2)), pred)),
            np.random.default_rng(0).normal(size=(3, 2)),
        )
        with pytest.raises(NotImplementedError, match=r"'empty'.* defines neither `call"):
            Loss(name="empty").forward(np.zeros((2, 1)), np.ones((2, 1)))

    def test_a_subclass_with_a_gradient_trains(self):
        class Quartic(Loss):
            def pointwise(self, y_true, y_pred):
                error = y_pred - y_true
                return np.mean(error**4, -1), lambda d: d[..., None] * 4 * error**3 / 2

        check_vjp(
            lambda pred: _as_array_pair(Quartic().forward(np.ones((3, 2)), pred)),
            np.random.default_rng(0).normal(size=(3, 2)),
        )

    def test_dtype_is_that_of_the_predictions_or_as_asked(self):
        pred = np.ones((2, 1))
        assert losses.MeanSquaredError()([[0], [1]], pred).dtype == np.float64
        assert losses.MeanSquaredError()([[0], [1]], [[1], [1]]).dtype == np.float32
        assert losses.MeanSquaredError(dtype="float32")([[0], [1]], pred).dtype == np.float32
        value, vjp = losses.MeanSquaredError(dtype="float64").forward(
            np.zeros((2, 1)), pred.astype("float32")
        )
        assert value.dtype == np.float64
        assert vjp(1.0, Gradients()).dtype == np.float32


def _as_array_pair(pair):
    value, vjp = pair
    return np.asarray(value), lambda d, grads: vjp(float(d), grads)


class TestErrors:
    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"same shape.*\(4, 2\).*\(4, 3\)"):
            losses.MeanSquaredError()(np.zeros((4, 2)), np.zeros((4, 3)))
        with pytest.raises(ValueError, match=r"one label for each row.*\(3,\).*\(4, 3\)"):
            losses.SparseCategoricalCrossentropy()(np.zeros(3), np.ones((4, 3)))

    def test_labels_out_of_range(self):
        for labels in ([0, 3], [-1, 0], [np.nan, 0]):
            with pytest.raises(ValueError, match=r"labels in \[0, 3\)"):
                losses.SparseCategoricalCrossentropy()(np.array(labels), np.ones((2, 3)))

    def test_weights_and_masks_that_do_not_fit(self):
        loss = losses.MeanSquaredError()
        with pytest.raises(ValueError, match=r"`sample_weight`.*\(4,\).*\(3,\)"):
            loss(np.zeros((4, 1)), np.zeros((4, 1)), sample_weight=np.ones(3))
        with pytest.raises(ValueError, match=r"`mask`.*\(4, 5\).*\(4, 6\)"):
            loss.forward(np.zeros((4, 5, 2)), np.zeros((4, 5, 2)), mask=np.ones((4, 6), bool))

    def test_arguments(self):
        with pytest.raises(ValueError, match="`reduction`"):
            losses.MeanSquaredError("average")
        with pytest.raises(ValueError, match="`label_smoothing`"):
            losses.BinaryCrossentropy(label_smoothing=1.5)
        with pytest.raises(ValueError, match="`axis` must be of type `int`"):
            losses.CategoricalCrossentropy(axis=True)
