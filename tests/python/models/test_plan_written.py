"""Layers, operations, losses and metrics of users in plans: programs of the engine."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, trained

ran = []


class Gated(layers.Layer):
    """Weights of its own, trained or not, and of a layer inside; and a plain attribute."""

    def build(self, input_shape):
        self.gate = layers.Dense(input_shape[-1], activation="sigmoid", dtype=self.dtype)
        self.gate.build(input_shape)
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.shift = self.add_weight((1,), "zeros", name="shift", trainable=False)
        self.power = 2.0

    def call(self, inputs):
        ran.append(inputs)
        return (inputs * self.gate(inputs) * self.scale + self.shift) * self.power


class Pooled(layers.Layer):
    """Steps weighed by what they say, as attention does; other code in training."""

    def build(self, input_shape):
        self.query = self.add_weight((input_shape[-1], 1), name="query")

    def call(self, inputs, training=False):
        ran.append(inputs)
        shares = ops.softmax(ops.squeeze(ops.tanh(inputs) @ self.query, -1), axis=-1)
        pooled = ops.sum(inputs * ops.expand_dims(shares, -1), axis=1)
        return pooled if training else pooled * 1.25


class Between(layers.Layer):
    """Of two inputs."""

    def call(self, first, second):
        ran.append(first)
        return first * second - ops.mean(first, axis=-1, keepdims=True)


class Normal(layers.Layer):
    """A layer with a normalization and a product of the engine inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.normal = layers.LayerNormalization(dtype=self.dtype)
        self.product = layers.Dense(5, activation="gelu", dtype=self.dtype)

    def build(self, input_shape):
        self.normal.build(input_shape)
        self.product.build(input_shape)

    def call(self, inputs):
        ran.append(inputs)
        return inputs + self.product(self.normal(inputs))


def of_two(x):
    return Between()(LSTM(4)(x), GRU(4)(x))


def of_operations(x):
    h, g = LSTM(4)(x), GRU(4)(x)
    return ops.concatenate([ops.sin(h) * g + 0.5, (h - g)[:, 1:3] / 2.0], axis=-1)


def bent(x):
    return ops.where(x > 0, x, 0.1 * x) + 0.1 * ops.sin(x)


def plain(x):
    return LSTM(4)(x)


LAYERS = {
    "gated": lambda x: LSTM(3)(Gated()(GRU(4, return_sequences=True)(x))),
    "pooled": lambda x: Pooled()(LSTM(4, return_sequences=True)(x)),
    "first": lambda x: GRU(4)(Normal()(x)),
    "two": of_two,
    "twice": lambda x: LSTM(3)((shared := Gated())(shared(x))),
    "lambda": lambda x: GRU(3)(layers.Lambda(lambda v: v * ops.sin(v) + 1)(x)),
    "operations": of_operations,
    "activation": lambda x: Dense(4, bent)(layers.Activation(bent)(LSTM(4)(x))),
    "of steps": lambda x: GRU(4)(
        layers.Activation(lambda v: v - ops.mean(v, axis=1, keepdims=True))(x)
    ),
}


def functional(body, dtype="float64", out=3):
    def build():
        keras.config.set_floatx(dtype)
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, Dense(out)(body(inputs)))

    return build


@pytest.fixture(autouse=True)
def floatx():
    yield
    keras.config.set_floatx("float32")
    ran.clear()


@pytest.fixture
def judged(monkeypatch):
    """What was judged in Python."""
    found = []
    for name in ("_judged", "_judged_in_python"):
        inner = getattr(TrainingPlan, name)

        def noted(*given, name=name, inner=inner):
            found.append(name)
            return inner(*given)

        monkeypatch.setattr(TrainingPlan, name, noted)
    return found


def listed(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def close(build, x, y, monkeypatch, rtol=1e-8, **options):
    """Trains with plans and without, and compares but for rounding; gives the planned model."""
    (ours, history), (theirs, wanted) = (
        trained(build, x, y, monkeypatch, planned=planned, **options) for planned in (True, False)
    )
    assert history.keys() == wanted.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, wanted[name], rtol=rtol, err_msg=name)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e3 * rtol, atol=1e2 * rtol)
    outputs = (model.predict(x, verbose=0) for model in (ours, theirs))
    for own, other in zip(*map(listed, outputs), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e3 * rtol, atol=1e2 * rtol)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    return ours


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_train_as_their_code_says(kind, judged, monkeypatch):
    x, y = data(dtype="float64")
    body = functional(LAYERS[kind])
    model = close(body, x, y, monkeypatch, validation_data=(x[:9], y[:9]))
    assert all(node.back is None for node in model.explain_plan()), model.explain_plan()
    assert not judged


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_train_in_single_precision(kind, monkeypatch):
    x, y = data()
    close(functional(LAYERS[kind], "float32"), x, y, monkeypatch, rtol=2e-4)


def test_their_code_does_not_run_at_each_step(monkeypatch):
    x, y = data()
    model, _ = trained(functional(LAYERS["pooled"], "float32"), x, y, monkeypatch, planned=True)
    counts = []
    for epochs in (1, 1, 9):
        ran.clear()
        model.fit(x, y, batch_size=2, epochs=epochs, verbose=0)
        model.predict(x, batch_size=2, verbose=0)
        counts.append(len(ran))
    assert counts[1] == counts[2] < 15


def test_sequences_of_any_length(monkeypatch):
    def build():
        inputs = keras.Input((None, 5))
        return keras.Model(inputs, Dense(3)(Pooled()(LSTM(4, return_sequences=True)(inputs))))

    x, y = data()
    close(build, x, y, monkeypatch, rtol=2e-4)
    model, _ = trained(build, x, y, monkeypatch, planned=True)
    model.fit(x[:, :4], y, batch_size=8, verbose=0)
    short = model.predict(x[:, :4], verbose=0)
    np.testing.assert_allclose(short, model(x[:, :4]), rtol=1e-5)


def test_attributes_and_untrained_weights_may_change(monkeypatch):
    x, y = data(dtype="float64")
    model, _ = trained(functional(LAYERS["gated"]), x, y, monkeypatch, planned=True)
    gated = next(layer for layer in model.layers if isinstance(layer, Gated))
    outputs = []
    for change in (
        lambda: None,
        lambda: setattr(gated, "power", 3.0),
        lambda: gated.shift.assign([0.5]),
    ):
        change()
        outputs.append(model.predict(x, verbose=0))
        np.testing.assert_allclose(outputs[-1], model(x), rtol=1e-12)
    assert not np.allclose(outputs[0], outputs[1])
    assert not np.allclose(outputs[1], outputs[2])

    class Shift(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            gated.shift.assign_add([0.25])

    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        again = keras.models.clone_model(model)
        again.set_weights(model.get_weights())
        again.compile("sgd", "mse")
        gated = next(layer for layer in again.layers if isinstance(layer, Gated))
        history = again.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=[Shift()])
        results.append(history.history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-9)


class Sorted(layers.Layer):
    def call(self, inputs):
        return ops.sort(inputs)


class Adding(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        self.add_loss(ops.sum(self.scale))
        return inputs * self.scale


class Counting(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * 2


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Sorted, "the operation `sort`"),
        (Adding, "`add_loss`"),
        (Counting, "an assignment to an attribute of its own"),
    ],
)
def test_other_code_is_handed_back_to_python(kind, why, monkeypatch):
    x, y = data(dtype="float64")
    model = close(functional(lambda x: kind()(LSTM(4)(x))), x, y, monkeypatch)
    (node,) = [node for node in model.explain_plan() if node.back]
    assert why in node.back
    assert "Python, from the engine" in str(model.explain_plan())


# Losses and metrics.


def tilted(y_true, y_pred):
    error = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * error, -0.1 * error), axis=-1)


def whole(y_true, y_pred):
    return 0.5 * ops.mean(ops.square(y_true - y_pred)) + ops.mean(ops.abs(y_true - y_pred)) / 3 - 1


def each(y_true, y_pred):
    return ops.log(1 + ops.square(y_true - y_pred))


class Powered(keras.losses.Loss):
    def __init__(self, power=4, **options):
        super().__init__(**options)
        self.power = power

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_pred - y_true) ** self.power, axis=-1)


LOSSES = {
    "tilted": tilted,
    "whole": whole,
    "each": each,
    "class": Powered(3),
    "sum": Powered(2, reduction="sum"),
    "mean of weights": Powered(2, reduction="mean_with_sample_weight"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_train_as_their_code_says(name, weighted, judged, monkeypatch):
    x, y = data(dtype="float64")
    metrics = {"metrics": lambda: [each, "mae"], "weighted_metrics": lambda: [tilted]}
    compiled = {"loss": lambda: LOSSES[name], **metrics}
    weight = {"sample_weight": np.linspace(0.1, 2, len(x))} if weighted else {}
    given = {"compiled": compiled, "validation_data": (x[:9], y[:9]), **weight}
    close(functional(plain), x, y, monkeypatch, **given)
    # The mean over a batch with its weights is Python's.
    assert bool(judged) is (weighted and name == "whole")


@pytest.mark.parametrize("name", ["tilted", "class", "each"])
def test_losses_of_steps_with_masks_and_weights(name, judged, monkeypatch):
    def build():
        keras.config.set_floatx("float64")
        inputs = keras.Input((6, 5))
        hidden = LSTM(4, return_sequences=True)(layers.Masking(0.5)(inputs))
        return keras.Model(inputs, layers.TimeDistributed(Dense(3))(hidden))

    x, y = data(out=(6, 3), dtype="float64")
    x[:, 4:] = 0.5
    compiled = {"loss": lambda: LOSSES[name], "metrics": lambda: [tilted]}
    for weight in (None, np.random.default_rng(3).uniform(size=(29, 6))):
        given = {} if weight is None else {"sample_weight": weight}
        close(build, x, y, monkeypatch, compiled=compiled, **given)
    assert not judged


def test_targets_of_another_shape_than_outputs(judged, monkeypatch):
    def likelihood(y_true, y_pred):
        center, spread = y_pred[:, :1], ops.softplus(y_pred[:, 1:2]) + 1e-3
        return ops.log(spread) + 0.5 * ops.square((y_true - center) / spread)

    x, y = data(out=(1,), dtype="float64")
    compiled = {"loss": lambda: likelihood}
    for targets in (y, (y > 0).astype("int64")):
        close(functional(plain, out=2), x, targets, monkeypatch, compiled=compiled)
    assert not judged


def test_losses_of_several_outputs(monkeypatch):
    def build():
        keras.config.set_floatx("float64")
        inputs = keras.Input((6, 5))
        h = LSTM(4)(inputs)
        return keras.Model(inputs, [Dense(3, name="a")(h), Dense(2, name="b")(h)])

    x, y = data(dtype="float64")
    compiled = {"loss": lambda: [tilted, whole], "loss_weights": lambda: [1.0, 0.3]}
    close(build, x, [y, y[:, :2]], monkeypatch, compiled=compiled)


@pytest.mark.parametrize("name", ["tilted", "whole", "each", "class", "sum"])
def test_gradients_against_differences(name, monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data(dtype="float64")
    keras.utils.set_random_seed(4)
    model = functional(LAYERS["gated"])()
    model.compile(keras.optimizers.SGD(1.0), LOSSES[name])
    before = model.get_weights()
    model.fit(x, y, batch_size=29, verbose=0, shuffle=False)
    gradients = [old - new for old, new in zip(before, model.get_weights(), strict=True)]
    random = np.random.default_rng(1)
    for at, gradient in enumerate(gradients):
        if not np.any(gradient):
            continue
        place = tuple(random.integers(length) for length in gradient.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = [weight.copy() for weight in before]
            moved[at][place] += step
            model.set_weights(moved)
            values.append(model.evaluate(x, y, batch_size=29, verbose=0))
        difference = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(gradient[place], difference, rtol=2e-5, atol=1e-8)


def test_settings_of_a_loss_may_change(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data(dtype="float64")
    loss = Powered(2)
    model = functional(plain)()
    model.compile("sgd", loss)
    values = []
    for power in (2, 4):
        loss.power = power
        values.append(model.evaluate(x, y, verbose=0))
        wanted = np.mean(np.abs(model.predict(x, verbose=0) - y) ** power)
        assert values[-1] == pytest.approx(wanted)


def test_losses_that_are_no_programs_are_pythons(judged, monkeypatch):
    def root(y_true, y_pred):
        return ops.sqrt(ops.mean(ops.square(y_true - y_pred)))

    x, y = data(dtype="float64")
    compiled = {"loss": lambda: root, "metrics": lambda: [keras.metrics.R2Score()]}
    model = close(functional(plain), x, y, monkeypatch, compiled=compiled)
    assert judged
    loss, metric = model.explain_plan()[-2:]
    assert loss.name == "root"
    assert "an operation on a mean over the batch" in loss.back
    assert (metric.name, metric.back) == ("r2_score", "the engine does not know it")
