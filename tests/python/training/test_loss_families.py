"""All losses alike: gradients, functions, names, configurations; and what is special in some."""

import itertools
import json

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Gradients
from ferrnn._src.training import losses
from ferrnn._src.training.losses.registry import CLASSES, as_loss
from ferrnn.testing import check_vjp

BY_NAME = {function.__name__: cls for function, cls in CLASSES.items()}
OPTIONS = {
    "huber": {"delta": 0.7},
    "cosine_similarity": {"axis": 1},
    "binary_focal_crossentropy": {"apply_class_balancing": True, "gamma": 1.3},
    "categorical_focal_crossentropy": {"alpha": [0.2, 0.5, 0.1, 0.9, 0.4], "from_logits": True},
    "categorical_generalized_cross_entropy": {"q": 0.3},
    "dice": {"axis": -1},
    "tversky": {"alpha": 0.2, "beta": 0.9, "axis": -1},
    "circle": {"gamma": 3.0},
}


def arrays(name, rng):
    shape = (4, 3, 5)
    if name == "circle":
        pred = rng.normal(size=(6, 4))
        return np.array([0, 1, 0, 2, 1, 0]), pred / np.linalg.norm(pred, axis=1, keepdims=True)
    if name == "ctc":
        return np.array([[1, 1, 0], [2, 3, 1], [0, 0, 0]]), rng.normal(size=(3, 6, 4))
    if name.startswith("sparse") or "generalized" in name:
        return rng.integers(0, 5, shape[:2]), rng.uniform(0.1, 0.9, shape)
    if "hinge" in name:
        return (rng.random(shape) < 0.5).astype("float64"), rng.normal(size=shape)
    return rng.uniform(0.1, 0.9, shape), rng.uniform(0.1, 0.9, shape)


@each_case("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
@each_case("name", BY_NAME)
def test_gradients_match_finite_differences(name, reduction):
    rng = np.random.default_rng(11)
    y_true, y_pred = arrays(name, rng)
    loss = BY_NAME[name](**OPTIONS.get(name, {}), reduction=reduction)
    weight = rng.uniform(0.2, 2.0, np.shape(loss.values(y_true, y_pred)))
    mask = None if name in ("circle", "ctc") else rng.random(weight.shape) > 0.3

    def forward(pred):
        value, vjp = loss.forward(y_true, pred, sample_weight=weight, mask=mask)
        return np.asarray(value), lambda d, grads: vjp(float(d), grads)

    check_vjp(forward, y_pred)


@each_case("name", BY_NAME)
@each_case("dtype", ["float32", "float64"])
def test_the_function_gives_the_values_of_the_class(name, dtype):
    y_true, y_pred = arrays(name, np.random.default_rng(1))
    y_pred = y_pred.astype(dtype)
    options = OPTIONS.get(name, {})
    values = getattr(keras.losses, name)(y_true, y_pred, **options)
    loss = BY_NAME[name](**options, reduction=None)
    assert values.dtype == dtype
    expected = loss(y_true, y_pred)
    np.testing.assert_array_equal(np.where(expected == 0, 0, values), expected)
    value, vjp = BY_NAME[name](**options).forward(y_true, y_pred)
    assert np.isfinite(value)
    assert vjp(1.0, Gradients()).dtype == dtype


@each_case("name", BY_NAME)
def test_configurations_make_the_same_loss_again(name):
    loss = BY_NAME[name](**OPTIONS.get(name, {}), name="own", reduction="sum")
    plain = losses.serialize(loss)
    assert plain["module"] == "keras.losses"
    again = losses.deserialize(plain)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert {"name": "own", "reduction": "sum"}.items() <= again.get_config().items()
    function = getattr(losses, name)
    assert losses.deserialize(losses.serialize(function)) is function
    assert losses.get(name) is function
    assert isinstance(losses.get(BY_NAME[name].__name__), BY_NAME[name])
    assert as_loss(name).name == name


def test_short_names():
    pairs = {"mape": "mean_absolute_percentage_error", "msle": "mean_squared_logarithmic_error"}
    pairs |= {"kld": "kl_divergence", "bce": "binary_crossentropy", "mse": "mean_squared_error"}
    for short, name in pairs.items():
        assert losses.get(short) is losses.get(short.upper()) is getattr(losses, name)
    assert losses.Huber().name == "huber_loss"


def test_own_losses_are_found_by_name():
    class Mine(losses.MeanSquaredError):
        pass

    def my_loss(y_true, y_pred):
        return y_pred[..., 0]

    own = {"Mine": Mine, "my_loss": my_loss}
    plain = losses.serialize(Mine(name="m"))
    assert plain["registered_name"] == "Mine"
    assert isinstance(losses.deserialize(plain, own), Mine)
    assert losses.deserialize(losses.serialize(my_loss), own) is my_loss
    assert losses.deserialize("my_loss", own) is my_loss
    with pytest.raises(ValueError, match="custom_objects"):
        losses.deserialize(json.loads(json.dumps(plain)))


def test_a_wrapped_function_is_made_again():
    def my_loss(y_true, y_pred, power):
        return (y_pred - y_true) ** power

    for function in (my_loss, losses.mean_squared_error):
        arguments = {"power": 4} if function is my_loss else {}
        loss = losses.LossFunctionWrapper(function, "sum", "named", **arguments)
        again = losses.deserialize(losses.serialize(loss), {"my_loss": my_loss})
        assert again.fn is function
        assert again.get_config() == loss.get_config()
        pred = np.full((2, 1), 2.0)
        assert again(np.zeros((2, 1)), pred) == loss(np.zeros((2, 1)), pred)


def test_a_single_class_is_warned_of():
    for loss in (losses.CategoricalCrossentropy(), losses.CategoricalFocalCrossentropy()):
        with pytest.warns(SyntaxWarning, match="num_classes > 1"):
            loss(np.ones((2, 1)), np.ones((2, 1)))


def test_a_focus_of_zero_is_the_crossentropy():
    y_true, y_pred = arrays("", np.random.default_rng(0))
    focal = losses.BinaryFocalCrossentropy(gamma=0)
    assert focal(y_true, y_pred) == pytest.approx(losses.BinaryCrossentropy()(y_true, y_pred))
    focal = losses.CategoricalFocalCrossentropy(alpha=1, gamma=0)
    assert focal(y_true, y_pred) == pytest.approx(losses.CategoricalCrossentropy()(y_true, y_pred))


@pytest.mark.parametrize("loss", [losses.LogCosh(), losses.Huber(), losses.SquaredHinge()])
def test_large_errors_stay_finite(loss):
    value, vjp = loss.forward(np.zeros((1, 2), "float32"), np.array([[1e4, -1e4]], "float32"))
    assert np.isfinite(value)
    assert np.isfinite(vjp(1.0, Gradients())).all()


def test_a_class_of_no_probability_has_a_finite_gradient():
    loss = losses.CategoricalGeneralizedCrossEntropy(q=0.5)
    value, vjp = loss.forward(np.array([0]), np.array([[0.0, 1.0]]))
    assert value == 2
    assert np.isfinite(vjp(1.0, Gradients())).all()


class TestCircle:
    true, pred = arrays("circle", np.random.default_rng(3))

    def test_against_other_embeddings(self):
        alike = losses.circle(self.true, self.pred, self.true, self.pred, gamma=2.0)
        np.testing.assert_array_equal(alike, losses.circle(self.true, self.pred, gamma=2.0))
        few = losses.circle(self.true, self.pred, self.true[:3], self.pred[:3], gamma=2.0)
        assert few.shape == (6,)
        assert not np.allclose(few, alike)

    def test_other_embeddings_stay_where_they_are(self):
        others = self.pred[:4][:, ::-1].copy()

        def own_loss(y_true, y_pred):
            return losses.circle(y_true, y_pred, [0, 1, 2, 0], others, gamma=2.0)

        loss = losses.LossFunctionWrapper(own_loss, "sum")

        def forward(pred):
            value, vjp = loss.forward(self.true, pred)
            return np.asarray(value), lambda d, grads: vjp(float(d), grads)

        check_vjp(forward, self.pred)

    def test_a_row_without_a_partner_does_not_count(self):
        values = losses.circle(self.true, self.pred)
        assert values[3] == 0
        assert losses.Circle()(self.true, self.pred) == pytest.approx(values[values > 0].mean())
        _, vjp = losses.Circle(gamma=1.0).forward(np.zeros(6), self.pred)
        assert not vjp(1.0, Gradients()).any()  # nothing is apart that should be

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"one label for each row.*\(6, 4\).*\(5,\)"):
            losses.Circle()(np.zeros(5), self.pred)


class TestAlignment:
    def test_is_the_sum_over_all_ways(self):
        labels, logits = (
            np.array([[1, 1], [2, 1], [2, 0]]),
            np.random.default_rng(4).normal(size=(3, 4, 3)),
        )
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        expected = np.zeros(3)
        for way in itertools.product(range(3), repeat=4):
            spelled = [entry for entry, _ in itertools.groupby(way) if entry]
            for row, label in enumerate(labels):
                if spelled == [entry for entry in label if entry]:
                    expected[row] += p[row, range(4), way].prod()
        np.testing.assert_allclose(losses.ctc(labels, logits), -np.log(expected), rtol=1e-12)

    def test_a_mask_shortens(self):
        rng = np.random.default_rng(5)
        labels, logits = np.array([[1, 2], [3, 3]]), rng.normal(size=(2, 6, 4))
        mask = np.arange(6) < np.array([[4], [3]])
        value, vjp = losses.CTC("sum").forward(labels, logits, mask=mask)
        rows = [losses.ctc(labels[:1], logits[:1, :4]), losses.ctc(labels[1:], logits[1:, :3])]
        assert value == pytest.approx(float(rows[0][0] + rows[1][0]))
        assert losses.CTC("sum").evaluate(labels, logits, mask=mask) == pytest.approx(value)
        gradient = vjp(1.0, Gradients())
        assert not gradient[~mask].any()
        _, alone = losses.CTC("sum").forward(labels[1:], logits[1:, :3])
        np.testing.assert_allclose(gradient[1, :3], alone(1.0, Gradients())[0], rtol=1e-10)
        with pytest.raises(ValueError, match="first steps"):
            losses.CTC().forward(labels, logits, mask=mask[:, ::-1])

    def test_what_does_not_fit_is_dear_and_has_no_gradient(self):
        logits = np.random.default_rng(6).normal(size=(2, 2, 3))
        labels = np.array([[1, 1], [1, 2]])  # a repetition needs a blank between
        values = losses.ctc(labels, logits)
        assert values[0] == 1e5
        assert values[1] < 10
        _, vjp = losses.CTC("sum").forward(labels, logits)
        gradient = vjp(1.0, Gradients())
        assert not gradient[0].any()
        assert gradient[1].any()

    def test_errors(self):
        with pytest.raises(ValueError, match="Targets `y_true`"):
            losses.CTC()(np.zeros(3), np.zeros((3, 4, 5)))
        with pytest.raises(ValueError, match="Logits `y_pred`"):
            losses.CTC()(np.zeros((3, 2)), np.zeros((3, 4)))
        with pytest.raises(ValueError, match=r"classes in \[0, 5\)"):
            losses.CTC()(np.full((3, 2), 5), np.zeros((3, 4, 5)))


def test_tversky_weighs_false_entries_by_alpha_and_missed_ones_by_beta():
    true, pred = np.array([[1.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 0.25, 0.5]])
    both, false, missed = 1.25, 1.5, 0.75
    for alpha, beta in ((0.3, 0.7), (2.0, 0.5)):
        expected = 1 - both / (both + alpha * false + beta * missed + 1e-7)
        np.testing.assert_allclose(losses.Tversky(alpha, beta)(true, pred), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def test_a_single_class_on_the_axis_is_warned_of(name):
    function = getattr(losses, name)
    with pytest.warns(SyntaxWarning, match=r"to be \(batch_size, num_classes\)"):
        function(np.ones((2, 1, 4)), np.full((2, 1, 4), 0.5), axis=1)
    function(np.ones((2, 4, 1)), np.full((2, 4, 1), 0.5), axis=1)
