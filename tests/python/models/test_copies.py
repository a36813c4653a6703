"""Copies of whatever the package offers go on with the bits of the original."""

import copy
import importlib

import numpy as np
import pytest

import ferrnn as keras
from copying import WAYS, ways
from each_case import each_case
from ferrnn import layers

generator = np.random.default_rng(7)
STEPS = generator.normal(size=(6, 5, 3)).astype("float32")
ROWS = generator.normal(size=(6, 4)).astype("float32")
FRAMES = generator.normal(size=(6, 4, 5, 3)).astype("float32")
IDS = generator.integers(0, 7, (6, 5))
WORDS = np.array([["the cat"], ["a dog sat"], ["the end"], ["cat"], ["dog dog"], ["a"]])


def classes(*modules):
    """The public classes of modules, each once."""
    found = {}
    for name in modules:
        face = importlib.import_module(f"ferrnn.{name}")  # its names load when they are asked for
        members = {each: getattr(face, each) for each in dir(face)}
        kinds = {k: v for k, v in members.items() if isinstance(v, type) and k[0] != "_"}
        found.update(dict.fromkeys(kinds.values(), name))
    return list(found)


def adapted(layer, data):
    layer.adapt(data)
    return layer


def doubled(x):
    return x * 2


# How to make each layer, and what it reads.
LAYERS = {
    layers.ELU: (layers.ELU, STEPS),
    layers.Activation: (lambda: layers.Activation("gelu"), STEPS),
    layers.LeakyReLU: (layers.LeakyReLU, STEPS),
    layers.PReLU: (layers.PReLU, STEPS),
    layers.ReLU: (layers.ReLU, STEPS),
    layers.Softmax: (layers.Softmax, STEPS),
    layers.AdditiveAttention: (lambda: layers.AdditiveAttention(dropout=0.2), [STEPS, STEPS]),
    layers.Attention: (lambda: layers.Attention(use_scale=True), [STEPS, STEPS]),
    layers.Bidirectional: (
        lambda: layers.Bidirectional(layers.GRU(3, recurrent_dropout=0.3)),
        STEPS,
    ),
    layers.CategoryEncoding: (lambda: layers.CategoryEncoding(7), IDS),
    layers.Discretization: (lambda: adapted(layers.Discretization(num_bins=3), ROWS), ROWS),
    layers.Conv1D: (lambda: layers.Conv1D(4, 2, activation="relu"), STEPS),
    layers.ConvLSTM1D: (lambda: layers.ConvLSTM1D(2, 2, dropout=0.2), STEPS[..., None]),
    layers.Normalization: (lambda: adapted(layers.Normalization(), ROWS), ROWS),
    layers.Dense: (
        lambda: layers.Dense(4, kernel_regularizer="l2", bias_constraint="max_norm"),
        STEPS,
    ),
    layers.Dropout: (lambda: layers.Dropout(0.3), STEPS),
    layers.GaussianDropout: (lambda: layers.GaussianDropout(0.3), STEPS),
    layers.GaussianNoise: (lambda: layers.GaussianNoise(0.3), STEPS),
    layers.SpatialDropout1D: (lambda: layers.SpatialDropout1D(0.3), STEPS),
    layers.Embedding: (lambda: layers.Embedding(7, 3, mask_zero=True), IDS),
    layers.GRU: (lambda: layers.GRU(3, dropout=0.2, stateful=True), STEPS),
    layers.Concatenate: (layers.Concatenate, [STEPS, STEPS]),
    layers.Dot: (lambda: layers.Dot(1), [ROWS, ROWS]),
    layers.Lambda: (lambda: layers.Lambda(doubled), STEPS),
    layers.LayerNormalization: (layers.LayerNormalization, STEPS),
    layers.IntegerLookup: (lambda: adapted(layers.IntegerLookup(), IDS), IDS),
    layers.StringLookup: (lambda: adapted(layers.StringLookup(), WORDS), WORDS),
    layers.LSTM: (lambda: layers.LSTM(3, recurrent_dropout=0.2, return_sequences=True), STEPS),
    layers.Masking: (layers.Masking, STEPS),
    layers.Add: (layers.Add, [STEPS, STEPS]),
    layers.Average: (layers.Average, [STEPS, STEPS]),
    layers.Maximum: (layers.Maximum, [STEPS, STEPS]),
    layers.Minimum: (layers.Minimum, [STEPS, STEPS]),
    layers.Multiply: (layers.Multiply, [STEPS, STEPS]),
    layers.Subtract: (layers.Subtract, [STEPS, STEPS]),
    layers.MultiHeadAttention: (
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.2),
        (STEPS, STEPS),
    ),
    layers.BatchNormalization: (layers.BatchNormalization, STEPS),
    layers.AveragePooling1D: (lambda: layers.AveragePooling1D(2), STEPS),
    layers.GlobalAveragePooling1D: (layers.GlobalAveragePooling1D, STEPS),
    layers.GlobalMaxPooling1D: (layers.GlobalMaxPooling1D, STEPS),
    layers.MaxPooling1D: (lambda: layers.MaxPooling1D(2), STEPS),
    layers.Flatten: (layers.Flatten, STEPS),
    layers.Permute: (lambda: layers.Permute((2, 1)), STEPS),
    layers.RepeatVector: (lambda: layers.RepeatVector(3), ROWS),
    layers.Reshape: (lambda: layers.Reshape((2, 2)), ROWS),
    layers.Cropping1D: (layers.Cropping1D, STEPS),
    layers.UpSampling1D: (layers.UpSampling1D, STEPS),
    layers.ZeroPadding1D: (layers.ZeroPadding1D, STEPS),
    layers.RNN: (
        lambda: layers.RNN([layers.LSTMCell(3, dropout=0.2), layers.GRUCell(2)]),
        STEPS,
    ),
    layers.GroupNormalization: (lambda: layers.GroupNormalization(3), STEPS),
    layers.RMSNormalization: (layers.RMSNormalization, STEPS),
    layers.UnitNormalization: (layers.UnitNormalization, STEPS),
    layers.SimpleRNN: (lambda: layers.SimpleRNN(3, dropout=0.2), STEPS),
    layers.CoupledLSTM: (lambda: layers.CoupledLSTM(3, dropout=0.2), STEPS),
    layers.Hashing: (lambda: layers.Hashing(5), WORDS),
    layers.IndRNN: (lambda: layers.IndRNN(3, recurrent_dropout=0.2), STEPS),
    layers.MinimalGatedUnit: (lambda: layers.MinimalGatedUnit(3, recurrent_dropout=0.2), STEPS),
    layers.ProjectedLSTM: (lambda: layers.ProjectedLSTM(3, 2, dropout=0.2), STEPS),
    layers.PeepholeLSTM: (lambda: layers.PeepholeLSTM(3, dropout=0.2), STEPS),
    layers.TextVectorization: (lambda: adapted(layers.TextVectorization(), WORDS), WORDS),
    layers.ActivityRegularization: (lambda: layers.ActivityRegularization(0.1), STEPS),
    layers.AdaptiveAveragePooling1D: (lambda: layers.AdaptiveAveragePooling1D(2), STEPS),
    layers.AdaptiveMaxPooling1D: (lambda: layers.AdaptiveMaxPooling1D(2), STEPS),
    layers.AlphaDropout: (lambda: layers.AlphaDropout(0.3), STEPS),
    layers.AveragePooling2D: (lambda: layers.AveragePooling2D(2), FRAMES),
    layers.Conv1DTranspose: (lambda: layers.Conv1DTranspose(4, 2), STEPS),
    layers.Conv2D: (lambda: layers.Conv2D(4, 2, activation="relu"), FRAMES),
    layers.Conv2DTranspose: (lambda: layers.Conv2DTranspose(4, 2), FRAMES),
    layers.ConvLSTM2D: (lambda: layers.ConvLSTM2D(2, 2, dropout=0.2), FRAMES[:, None]),
    layers.Cropping2D: (layers.Cropping2D, FRAMES),
    layers.DepthwiseConv1D: (lambda: layers.DepthwiseConv1D(2), STEPS),
    layers.DepthwiseConv2D: (lambda: layers.DepthwiseConv2D(2), FRAMES),
    layers.EinsumDense: (lambda: layers.EinsumDense("abc,cd->abd", (None, 4)), STEPS),
    layers.GlobalAveragePooling2D: (layers.GlobalAveragePooling2D, FRAMES),
    layers.GlobalMaxPooling2D: (layers.GlobalMaxPooling2D, FRAMES),
    layers.Hashing: (lambda: layers.Hashing(5, output_mode="count", salt=3), WORDS),
    layers.Identity: (layers.Identity, STEPS),
    layers.MaxPooling2D: (layers.MaxPooling2D, FRAMES),
    layers.Rescaling: (lambda: layers.Rescaling(2.0, 1.0), STEPS),
    layers.SeparableConv1D: (lambda: layers.SeparableConv1D(4, 2), STEPS),
    layers.SeparableConv2D: (lambda: layers.SeparableConv2D(4, 2), FRAMES),
    layers.SpatialDropout2D: (lambda: layers.SpatialDropout2D(0.3), FRAMES),
    layers.SpectralNormalization: (lambda: layers.SpectralNormalization(layers.Dense(4)), STEPS),
    layers.UpSampling2D: (layers.UpSampling2D, FRAMES),
    layers.ZeroPadding2D: (layers.ZeroPadding2D, FRAMES),
    layers.TimeDistributed: (lambda: layers.TimeDistributed(layers.Dense(2)), STEPS),
}
CELLS = {
    layers.CoupledLSTMCell: lambda: layers.CoupledLSTMCell(3, dropout=0.2),
    layers.IndRNNCell: lambda: layers.IndRNNCell(3, dropout=0.2),
    layers.MinimalGatedCell: lambda: layers.MinimalGatedCell(3),
    layers.ProjectedLSTMCell: lambda: layers.ProjectedLSTMCell(3, 2, dropout=0.2),
    layers.PeepholeLSTMCell: lambda: layers.PeepholeLSTMCell(3, recurrent_dropout=0.2),
    layers.GRUCell: lambda: layers.GRUCell(3, recurrent_dropout=0.2),
    layers.LSTMCell: lambda: layers.LSTMCell(3, dropout=0.2),
    layers.SimpleRNNCell: lambda: layers.SimpleRNNCell(3),
    layers.StackedRNNCells: lambda: layers.StackedRNNCells(
        [layers.GRUCell(3), layers.SimpleRNNCell(2)]
    ),
}
OTHER = {layers.Layer, layers.Wrapper, layers.InputLayer, layers.InputSpec}


def test_the_tables_hold_every_layer():
    assert {*LAYERS, *CELLS, *OTHER} == set(classes("layers"))


def bits(outputs):
    flat = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [(np.asarray(each).dtype, np.asarray(each).tobytes()) for each in flat]


@each_case("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_layers_go_on_before_and_after_their_first_calls(kind):
    make, inputs = LAYERS[kind]
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)

    def outcome(layer):
        outputs = [layer(*arguments, training=True), layer(*arguments)]
        return [bits(each) for each in (*outputs, layer.get_weights())]

    layer = make()
    fresh = {name: way(layer) for name, way in WAYS.items()}
    for each in (layer, *fresh.values()):
        keras.utils.set_random_seed(3)  # weights are drawn when a layer is built
        each(*arguments, training=True)
    used = {name: way(layer) for name, way in WAYS.items()}
    wanted = outcome(layer)
    for name in WAYS:
        assert outcome(fresh[name]) == wanted, name
        assert outcome(used[name]) == wanted, name


@ways
@each_case("kind", CELLS, ids=lambda kind: kind.__name__)
def test_cells_go_on(kind, way):
    cell = CELLS[kind]()
    cell.build((None, 3))
    other = way(cell)
    outputs = [layers.RNN(each)(STEPS, training=True) for each in (cell, other)]
    assert bits(outputs[0]) == bits(outputs[1])


def compiled(optimizer, **options):
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.LSTM(4, dropout=0.2, kernel_regularizer="l1", return_sequences=True),
            layers.BatchNormalization(),
            layers.GRU(3, recurrent_dropout=0.2),
            layers.Dense(1, kernel_constraint="unit_norm"),
        ]
    )
    model.compile(optimizer, loss="mse", metrics=["mae", keras.metrics.R2Score()], **options)
    return model


TARGETS = generator.normal(size=(6, 1)).astype("float32")


def went_on(model, epochs=2):
    """All that training makes of a model, in bits."""
    keras.utils.set_random_seed(5)
    history = model.fit(STEPS, TARGETS, batch_size=4, epochs=epochs, verbose=0).history
    state = [*model.get_weights(), *(each.numpy() for each in model.optimizer.variables)]
    return history, bits(state), model.evaluate(STEPS, TARGETS, verbose=0)


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)


OPTIMIZERS = [
    kind
    for kind in classes("optimizers")
    if kind
    not in {
        keras.optimizers.Optimizer,
        keras.optimizers.LossScaleOptimizer,
        keras.optimizers.MultiOptimizer,
        keras.optimizers.OptimizerMap,
    }
]
SETTINGS = {
    "averages": lambda: keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=2),
    "accumulation": lambda: keras.optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=3),
    "schedule": lambda: keras.optimizers.Nadam(schedule(), clipnorm=0.1),
    "function": lambda: keras.optimizers.RMSprop(rate, momentum=0.5, centered=True),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
    "several": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.05), {".*bias": keras.optimizers.Adam(0.01)}
        )
    ),
    "decay": lambda: keras.optimizers.AdamW(amsgrad=True, global_clipnorm=0.5),
}


def rate():
    return 0.01


def expect_copies_to_train_on(model, ways_of_copying):
    """Those of before training, and those of between two trainings."""
    for _ in range(2):
        copies = {name: WAYS[name](model) for name in ways_of_copying}
        wanted = went_on(model)
        for name, each in copies.items():
            assert type(each.optimizer.iterations) is type(model.optimizer.iterations), name
            assert went_on(each) == wanted, name


@each_case("make", OPTIMIZERS)
def test_copies_of_a_compiled_model_train_on(make):
    expect_copies_to_train_on(compiled(make()), ["deepcopy", "pickle"])


@each_case(("at", "make"), enumerate(SETTINGS.values()), ids=SETTINGS)
def test_copies_with_settings_train_on(at, make):
    names = [*WAYS, *WAYS]  # models of every kind below are copied in all ways
    at %= len(WAYS)
    expect_copies_to_train_on(compiled(make()), names[at : at + 2])


@ways
def test_a_copy_and_its_original_share_nothing(way):
    model = compiled("adam")
    went_on(model)
    other = way(model)
    before = bits([*model.get_weights(), *(each.numpy() for each in model.optimizer.variables)])
    went_on(other)
    other.optimizer.learning_rate = 0.5
    after = bits([*model.get_weights(), *(each.numpy() for each in model.optimizer.variables)])
    assert before == after


def test_a_shallow_copy_shares_weights_and_optimizer():
    model = compiled("adam")
    other = copy.copy(model)
    went_on(other)
    assert other.optimizer is model.optimizer
    assert bits(other.get_weights()) == bits(model.get_weights())


class Own(keras.Model):
    """A model whose parts are attributes."""

    def __init__(self):
        super().__init__()
        self.read, self.out = layers.GRU(3, dropout=0.1), layers.Dense(1)
        self.seen = keras.Variable(0, trainable=False, name="seen")

    def call(self, inputs, training=False):
        if training:
            self.seen.assign_add(1)
        return self.out(self.read(inputs))


def branches():
    inputs = keras.Input((5, 3))
    read = layers.LSTM(3)(inputs)
    both = layers.Concatenate()([read * 2, layers.Dropout(0.2)(read)])
    return keras.Model(inputs, layers.Dense(1)(both))


@pytest.mark.parametrize("make", [Own, branches])
def test_models_of_every_kind_train_on(make):
    model = make()
    model.compile("adam", loss=keras.losses.Huber(), metrics=["mae"])
    copies = {name: way(model) for name, way in WAYS.items()}
    for each in (model, *copies.values()):
        keras.utils.set_random_seed(5)
        each.predict(STEPS, verbose=0)
    wanted = went_on(model)
    for name, each in copies.items():
        assert went_on(each) == wanted, name
    expect_copies_to_train_on(model, WAYS)


class Copies(keras.callbacks.Callback):
    """Copies the model in the middle of an epoch."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.copy = self.way(self.model)
            self.at = bits(self.model.get_weights())


@ways
def test_a_copy_from_the_middle_of_an_epoch_trains_on(way):
    model, copies = compiled("adam"), Copies(way)
    model.fit(STEPS, TARGETS, batch_size=2, verbose=0, shuffle=False, callbacks=[copies])
    assert bits(copies.copy.get_weights()) == copies.at
    for at in (2, 4):
        copies.copy.train_on_batch(STEPS[at : at + 2], TARGETS[at : at + 2])
    assert bits(copies.copy.get_weights()) == bits(model.get_weights())


def ring(count):
    """A graph of many layers in a row, one of which is called several times."""
    inputs = keras.Input((4,))
    shared, x = layers.Dense(4, activation="tanh"), inputs
    for at in range(count):
        x = layers.Dense(4)(x) + x if at % 3 else shared(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("way", [WAYS["deepcopy"], WAYS["pickle"]], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("kind", ["graph", "stack"])
def test_models_of_hundreds_of_layers_are_copied(kind, way):
    stack = keras.Sequential([keras.Input((4,)), *(layers.Dense(4) for _ in range(150))])
    model = ring(120) if kind == "graph" else stack
    other = way(model)
    assert bits(other(ROWS)) == bits(model(ROWS))
    assert [each.name for each in other.layers] == [each.name for each in model.layers]
    for each in (model, other):
        each.compile("sgd", loss="mse")
        each.fit(ROWS, ROWS, verbose=0, shuffle=False)
    assert bits(other.get_weights()) == bits(model.get_weights())
