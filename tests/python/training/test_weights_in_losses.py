"""Weights used inside losses and penalties get their gradients, and so do targets."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Parameter, ops
from ferrnn._src.symbolic import tracing

X = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
Y = np.random.default_rng(2).normal(size=(6, 2)).astype("float32")


class Scaled(keras.Model):
    """A dense layer, and a weight that only a loss or a penalty uses."""

    def __init__(self, **dense):
        super().__init__()
        self.dense = keras.layers.Dense(2, **dense)
        self.scale = keras.Variable(0.5, name="scale")

    def call(self, inputs):
        return self.dense(inputs)


class ScaledError(keras.losses.Loss):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1) * ops.exp(self.scale)


class ScaledByInheritance(keras.losses.MeanSquaredError):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) * ops.exp(self.scale)


def scaled_error(scale):
    return lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred)) * ops.exp(scale.value)


def trained(model, loss, weights=None):
    """The gradient of `scale` that one step of gradient descent applied."""
    model(X)
    before = float(model.scale.numpy())
    model.compile(keras.optimizers.SGD(1.0), loss=loss(model.scale))
    model.fit(X, Y, batch_size=6, epochs=1, verbose=0, sample_weight=weights)
    return before - float(model.scale.numpy())


@each_case("loss", [ScaledError, ScaledByInheritance, scaled_error])
@each_case("weighted", [False, True])
def test_a_weight_in_a_loss_trains(loss, weighted):
    model = Scaled()
    weights = np.linspace(0.5, 2.0, 6).astype("float32") if weighted else None
    each = np.square(model(X) - Y).mean(-1)
    wanted = np.exp(0.5) * (each * (1 if weights is None else weights)).mean()
    if weighted and loss is scaled_error:  # one value for the batch is weighed by every weight
        wanted = np.exp(0.5) * each.mean() * weights.mean()
    assert trained(model, loss, weights) == pytest.approx(wanted, rel=1e-5)


def test_a_layer_in_a_loss_trains():
    teacher = keras.layers.Dense(2)
    teacher.build((None, 3))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    before = teacher.get_weights()[0]
    model.compile("sgd", loss=lambda y_true, y_pred: ops.mean((y_pred - teacher(X)) ** 2, -1))
    value, grads = tracing.value_and_gradients(lambda: model.compute_loss(y=Y, y_pred=model(X)))
    assert value == pytest.approx(np.mean((model(X) - teacher(X)) ** 2), rel=1e-5)
    error = teacher(X) - model(X)
    np.testing.assert_allclose(grads[teacher.kernel], X.T @ error / 6, rtol=1e-4)
    np.testing.assert_array_equal(before, teacher.get_weights()[0])


@pytest.mark.parametrize("where", ["kernel_regularizer", "activity_regularizer"])
def test_a_weight_in_a_penalty_trains(where):
    scale = []
    model = Scaled(**{where: lambda x: ops.sum(ops.square(x)) * scale[0] ** 2})
    scale.append(model.scale)
    outputs = model(X)
    penalized = model.dense.kernel.numpy() if where == "kernel_regularizer" else outputs
    count = 1 if where == "kernel_regularizer" else len(outputs)
    wanted = 2 * 0.5 * np.square(penalized).sum() / count
    assert trained(model, lambda scale: "mse") == pytest.approx(wanted, rel=1e-5)


def test_a_subclass_of_a_regularizer_may_override_call():
    class Doubled(keras.regularizers.L2):
        def __call__(self, x):
            return 2.0 * ops.sum(ops.square(x))

    layer = keras.layers.Dense(2, kernel_regularizer=Doubled())
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y_true, y_pred: 0.0 * y_pred)
    model(X)
    before = layer.kernel.numpy()
    model.fit(X, Y, batch_size=6, verbose=0)
    np.testing.assert_allclose(layer.kernel.numpy(), before - 4 * before, rtol=1e-5)


def test_what_a_subclassed_model_adds_to_the_loss_trains():
    class Adding(Scaled):
        def call(self, inputs):
            self.add_loss(3.0 * self.scale**2)
            return self.dense(inputs)

    assert trained(Adding(), lambda scale: "mse") == pytest.approx(3.0, rel=1e-5)


def test_a_value_of_the_same_trace_may_be_used_in_a_loss():
    scale = Parameter(np.array(0.5), "scale")
    loss_of = []
    loss = keras.losses.Loss

    class Inner(loss):
        def call(self, y_true, y_pred):
            return y_pred * loss_of[0]

    def function():
        loss_of[:] = [ops.exp(scale)]
        return Inner()(np.zeros((2, 1)), np.array([[1.0], [3.0]]))

    value, grads = tracing.value_and_gradients(function)
    assert value == pytest.approx(2 * np.exp(0.5))
    assert grads[scale] == pytest.approx(2 * np.exp(0.5))


BY_TARGETS = {
    "mean_squared_error": keras.losses.MeanSquaredError(),
    "mean_absolute_error": keras.losses.MeanAbsoluteError(),
    "percentage": keras.losses.MeanAbsolutePercentageError(),
    "logarithmic": keras.losses.MeanSquaredLogarithmicError(),
    "huber": keras.losses.Huber(delta=0.1),
    "log_cosh": keras.losses.LogCosh(),
    "cosine": keras.losses.CosineSimilarity(axis=1),
    "poisson": keras.losses.Poisson(),
    "kl_divergence": keras.losses.KLDivergence(),
    "dice": keras.losses.Dice(axis=1),
    "binary": keras.losses.BinaryCrossentropy(label_smoothing=0.1),
    "binary_logits": keras.losses.BinaryCrossentropy(from_logits=True, axis=1),
    "categorical": keras.losses.CategoricalCrossentropy(label_smoothing=0.1, axis=1),
    "categorical_logits": keras.losses.CategoricalCrossentropy(from_logits=True),
    "own": ScaledError(0.3),
}


@each_case("name", BY_TARGETS)
def test_targets_have_gradients(name):
    loss = BY_TARGETS[name]
    rng = np.random.default_rng(3)
    true, pred = (Parameter(rng.uniform(0.1, 0.9, (4, 3, 5)), which) for which in "tp")
    weight = rng.uniform(0.5, 2.0, 4)

    def function():
        return loss(true, pred * 1.0, sample_weight=weight)

    _, grads = tracing.value_and_gradients(function)
    for parameter in (true, pred):
        assert np.any(grads[parameter])
        origin, direction = parameter.numpy(), rng.normal(size=parameter.shape)
        values = []
        for step in (1e-6, -1e-6):
            parameter.assign(origin + step * direction)
            values.append(float(function()))
        parameter.assign(origin)
        slope = (values[0] - values[1]) / 2e-6
        assert np.vdot(grads[parameter], direction) == pytest.approx(slope, rel=1e-6)


def test_functions_of_losses_take_traced_targets():
    weight = Parameter(np.array([[1.0, 2.0]]), "weight")
    values = tracing.value_and_gradients(
        lambda: ops.sum(keras.losses.mean_absolute_error(weight * 2.0, np.array([[5.0, 1.0]])))
    )
    assert float(values[0]) == 3.0
    assert values[1][weight].tolist() == [[-1.0, 1.0]]


def test_targets_that_have_no_gradient_are_refused():
    weight = Parameter(np.array([[1.0, -1.0]]), "weight")
    with pytest.raises(TypeError, match="no gradient for `y_true`"):
        tracing.value_and_gradients(lambda: keras.losses.Hinge()(weight * 1.0, weight * 2.0))
    kept = keras.losses.Hinge()(ops.stop_gradient(weight), weight.value * 2.0)
    assert np.isfinite(kept)


@each_case("reduction", ["sum_over_batch_size", "mean", "sum"])
@each_case("shape", [(4,), (4, 1), (4, 3)])
@each_case("masked", [False, True])
def test_weights_of_samples_have_gradients(reduction, shape, masked):
    loss = keras.losses.BinaryCrossentropy(reduction=reduction)
    rng = np.random.default_rng(3)
    true = rng.uniform(0.1, 0.9, (4, 3, 5))
    pred, weight = Parameter(rng.uniform(0.1, 0.9, (4, 3, 5)), "p"), Parameter(np.ones(shape), "w")
    mask = rng.random((4, 3)) < 0.6 if masked else None

    def function():
        given = pred * 1.0
        if mask is not None:
            given._keras_mask = mask
        return loss(true, given, sample_weight=weight * 1.5)

    _, grads = tracing.value_and_gradients(function)
    for parameter in (pred, weight):
        origin, direction = parameter.numpy(), rng.normal(size=parameter.shape)
        values = []
        for step in (1e-6, -1e-6):
            parameter.assign(origin + step * direction)
            values.append(float(tracing.value_and_gradients(function)[0]))
        parameter.assign(origin)
        slope = (values[0] - values[1]) / 2e-6
        assert np.vdot(grads[parameter], direction) == pytest.approx(slope, rel=1e-6)


def test_weights_of_samples_without_a_gradient_are_refused():
    loss = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    weight = Parameter(np.ones(6), "weight")
    with pytest.raises(TypeError, match="no gradient for `sample_weight`"):
        tracing.value_and_gradients(lambda: loss(np.zeros((6, 2)), Y, weight * 1.0))


def test_an_endpoint_that_weighs_its_loss_trains():
    class Endpoint(keras.layers.Layer):
        def call(self, targets, logits, sample_weight):
            loss = keras.losses.BinaryCrossentropy(from_logits=True)
            self.add_loss(loss(targets, logits, sample_weight))
            return ops.sigmoid(logits)

    rng = np.random.default_rng(1)
    x, wanted, weight = keras.Input((3,)), keras.Input((2,)), keras.Input((1,))
    outputs = Endpoint()(wanted, keras.layers.Dense(2)(x), weight)
    model = keras.Model([x, wanted, weight], outputs)
    model.compile(keras.optimizers.Adam(0.1))
    data = [X, (rng.random((6, 2)) < 0.5).astype("float32"), np.ones((6, 1), "float32")]
    losses = model.fit(data, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    data[2][:] = 0.0
    model.fit(data, verbose=0)
    assert model.evaluate(data, verbose=0) == 0.0
