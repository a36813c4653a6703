"""Penalties on weights in plans: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn._src.training import work
from ferrnn.layers import GRU, LSTM, Dense
from ferrnn.regularizers import L1, L1L2, L2, OrthogonalRegularizer
from models.many import compare, counted, series  # noqa: F401 - a fixture
from models.own_code import judged_in_python  # noqa: F401 - a fixture
from models.planned import data, same, trained

FACTORS = {
    "kernel": L2(0.03),
    "recurrent": L1(0.02),
    "bias": L1L2(0.1, 0.2),
    "pointwise": L1(0.01),
    "depthwise": L2(0.05),
    "embeddings": L1L2(0.01, 0.3),
    "gamma": L2(0.1),
    "beta": L1(0.04),
    "alpha": L2(0.4),
}


def penalized(kind, *given, **options):
    """A layer all of whose weights have a penalty."""
    known = kind(*given, **options).get_config()
    named = {f"{name}_regularizer": each for name, each in FACTORS.items()}
    return kind(*given, **options, **{name: each for name, each in named.items() if name in known})


def stack(dtype="float32"):
    own = {"dtype": dtype}
    made = [penalized(LSTM, 9, return_sequences=True, **own), penalized(GRU, 4, **own)]
    return keras.Sequential([keras.Input((6, 5), **own), *made, penalized(Dense, 3, **own)])


@pytest.mark.parametrize(
    "clip", [{}, {"clipnorm": 0.1}, {"clipvalue": 0.05}, {"global_clipnorm": 0.2}]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_penalties_train_and_judge_to_the_same_bits(dtype, clip, judged, monkeypatch):
    x, y = data(dtype=dtype)
    compiled = {"optimizer": lambda: keras.optimizers.Adam(0.01, **clip), "metrics": ["mae"]}
    given = {"validation_data": (x[:11] + 1, y[:11]), "validation_batch_size": 4}
    model = same(lambda: stack(dtype), x, y, monkeypatch, compiled=compiled, **given)
    found = model.evaluate(x, y, batch_size=8, verbose=0)
    alone = np.square(model.predict(x, verbose=0) - y).mean()
    assert found[0] == pytest.approx(alone + sum(model.losses), rel=1e-5)
    assert sum(model.losses) > 0.5
    assert not judged
    monkeypatch.setenv("FERRNN_PLAN", "0")
    assert found == model.evaluate(x, y, batch_size=8, verbose=0)


def test_the_losses_of_outputs_are_without_penalties(judged, monkeypatch):
    def build():
        inputs = keras.Input((6, 5))
        x = penalized(LSTM, 4)(inputs)
        ends = [penalized(Dense, 3, name="one")(x), Dense(1, name="other")(x)]
        return keras.Model(inputs, ends)

    x, y = data()
    targets = [y, y[:, :1] + 1]
    compiled = {"loss": ["mse", "huber"], "loss_weights": [0.3, 0.7]}
    model = same(build, x, targets, monkeypatch, compiled=compiled, validation_data=(x, targets))
    assert judged == ["_judged"]  # it tells the names of the outputs
    total, one, other = model.evaluate(x, targets, verbose=0)
    assert total == pytest.approx(0.3 * one + 0.7 * other + sum(model.losses), rel=1e-5)
    assert sum(model.losses) > 0.1
    monkeypatch.setenv("FERRNN_PLAN", "0")
    assert [total, one, other] == model.evaluate(x, targets, verbose=0)


class Scaled(layers.Layer):
    """A layer of a user's, with a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale", regularizer="l1")

    def forward(self, inputs, call):
        def vjp(d_outputs, grads):
            grads.add(self.scale, (d_outputs * inputs).sum(axis=(0, 1)))
            return d_outputs * self.scale.value

        return inputs * self.scale.value, vjp


class Traced(Scaled):
    """One that adds losses of its own."""

    def call(self, inputs):
        self.add_loss(0.1 * ops.mean(ops.square(inputs)))
        return ops.sort(inputs) * self.scale


KINDS = {
    "both ways": lambda: layers.Bidirectional(penalized(LSTM, 3, return_sequences=True)),
    "convolution": lambda: penalized(layers.Conv1D, 4, 3),
    "separable": lambda: penalized(layers.SeparableConv1D, 4, 3),
    "dense": lambda: penalized(Dense, 4, "relu"),
    "layer normalization": lambda: penalized(layers.LayerNormalization),
    "batch normalization": lambda: penalized(layers.BatchNormalization),
    "slopes": lambda: penalized(layers.PReLU, "glorot_uniform", shared_axes=[1]),
    "attention": lambda: penalized(layers.MultiHeadAttention, 2, 3),
    "scaled": Scaled,
    "traced": Traced,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
def test_layers_of_all_kinds_train_to_the_same_bits(kind, shared, judged, monkeypatch):
    def build():
        inputs = keras.Input((6, 5))
        layer = KINDS[kind]()
        given = 2 if kind == "attention" else 1
        x = layer(*given * [inputs])
        if shared:  # in two places
            x = layers.Concatenate()([x, layer(*given * [layers.Rescaling(0.5)(inputs)])])
        return keras.Model(inputs, Dense(3)(GRU(4)(x)))

    model = same(build, *data(), monkeypatch)
    assert model.losses
    assert bool(judged) is (kind == "traced")


def test_a_table_has_penalties_on_rows_that_no_sample_has(judged, monkeypatch):
    def build():
        words = penalized(layers.Embedding, 11, 5, mask_zero=True)
        return keras.Sequential([keras.Input((7,), dtype="int32"), words, LSTM(4), Dense(3)])

    ids = np.random.default_rng(3).integers(0, 6, (29, 7)).astype("int32")
    keras.utils.set_random_seed(7)
    before = build().get_weights()[0]
    table = same(build, ids, data()[1], monkeypatch).get_weights()[0]
    assert not judged
    assert np.abs(table[6:]).mean() < 0.5 * np.abs(before[6:]).mean()


def test_frozen_layers_have_no_penalty(judged, monkeypatch):
    def build():
        model = stack()
        model.layers[0].trainable = False
        return model

    model = same(build, *data(), monkeypatch)
    assert len(model.losses) == 3 + 2
    assert not judged


def test_many_steps_are_one_call(monkeypatch):
    counts = []
    run = work.run
    monkeypatch.setattr(work, "LIMIT", 600.0)
    monkeypatch.setattr(work, "run", lambda *works: (counts.append(1), run(*works)))
    trained(stack, *data(), monkeypatch, planned=True, epochs=1, batch_size=4)
    assert len(counts) == 1


def test_other_regularizers_are_taken_in_python(judged, monkeypatch):
    class Halved(L2):
        def forward(self, x):
            penalty, vjp = super().forward(x)
            return penalty / 2, lambda d_penalty: vjp(d_penalty / 2)

    for own in (OrthogonalRegularizer(0.1), Halved(0.3), lambda w: 0.1 * ops.sum(w**4)):

        def build(own=own):
            made = [LSTM(4, kernel_regularizer=L1L2(0.1, 0.2)), Dense(3, kernel_regularizer=own)]
            return keras.Sequential([keras.Input((6, 5)), *made])

        judged.clear()
        same(build, *data(), monkeypatch)
        assert len(judged) == 3 * 4


@pytest.mark.parametrize("loss", ["mse", lambda true, pred: ops.mean(ops.sort(true - pred) ** 2)])
def test_factors_may_change_at_any_time(loss, monkeypatch):
    def run(switch):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        keras.utils.set_random_seed(5)
        model = stack()
        of_kernel, of_bias = L2(0.5), L1(0.5)
        for weight in model.weights:
            weight.regularizer = of_bias if weight.name == "bias" else of_kernel
        model.compile(keras.optimizers.SGD(0.01), loss)
        x, y = data()

        class Moving(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                of_bias.l1 = 0.5 * epoch

        told = []
        for factor in (0.5, 0.0, 3.0):
            of_kernel.l2 = factor
            fitted = model.fit(x, y, epochs=3, verbose=0, callbacks=[Moving()])
            told += [*fitted.history["loss"], model.evaluate(x, y, verbose=0)]
            of_kernel.l2 += 1
            told += [model.evaluate(x, y, verbose=0), model.train_on_batch(x, y)]
            told += [model.test_on_batch(x, y), *(each.tolist() for each in model.get_weights())]
        return told

    found = run("1")
    assert found == run("0")
    # More squares count for more, without a step between.
    assert found[4] > found[3] + 1


def test_models_trained_together_have_their_own_factors(together):
    def made(key):
        of_kernel = L1L2(0.01 * key, 0.1 * key)
        kinds = [LSTM(3, kernel_regularizer=of_kernel), Dense(1, bias_regularizer="l2")]
        model = keras.Sequential([keras.Input((6, 2)), *kinds])
        model.compile("adam", loss="mse")
        return model

    given = {key: series(20, 1) for key in range(4)}
    options = {"epochs": 3, "validation_split": 0.3, "batch_size": 4}
    many = compare(made, given, takes_key=True, **options)
    assert 4 in together
    losses = [many.history(key).history["loss"][0] for key in given]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.1
