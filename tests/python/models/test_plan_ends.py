"""Plans of models with several inputs and outputs, and of layers with several outputs."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn._src.training import steps
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import GRU, LSTM, Bidirectional, Dense
from models.planned import same

ROWS = 29


def two_inputs():
    series, still = keras.Input((6, 5), name="series"), keras.Input((4,), name="still")
    read = layers.Concatenate()([LSTM(5)(series), Dense(3, "tanh")(still)])
    return keras.Model([series, still], Dense(2, name="out")(read))


def ids_and_numbers():
    ids, numbers = keras.Input((6,), dtype="int32"), keras.Input((6, 5))
    both = layers.Concatenate()([layers.Embedding(9, 3)(ids), numbers])
    return keras.Model({"a": ids, "b": numbers}, Dense(2, name="out")(GRU(4)(both)))


def two_outputs():
    x = keras.Input((6, 5))
    read = LSTM(5, return_sequences=True)(x)
    first = Dense(3, name="first")(read)
    second = Dense(2, name="second")(layers.Concatenate()([GRU(4)(first), GRU(3)(read)]))
    return keras.Model(x, [second, first])


def by_name():
    x, other = keras.Input((6, 5), name="x"), keras.Input((6, 5), name="other")
    read = GRU(4)(layers.Add()([x, other]))
    made = {"up": Dense(1, name="u")(read), "down": Dense(3, name="d")(read)}
    return keras.Model({"x": x, "other": other}, made)


def states(cell=LSTM):
    """An encoder whose states a decoder begins with."""
    first, second = keras.Input((6, 5)), keras.Input((4, 3))
    _, *found = cell(5, return_state=True)(first)
    decoder = cell(5, return_sequences=True, return_state=True, name="decoder")
    read, *last = decoder(second, initial_state=found)
    return keras.Model([first, second], [Dense(2, name="out")(read), last[-1]])


def both_ways():
    x = keras.Input((6, 5))
    ahead, back, *found = Bidirectional(
        LSTM(4, return_sequences=True, return_state=True), merge_mode=None, name="both"
    )(x)
    read = Bidirectional(LSTM(4, return_sequences=True), merge_mode="mul")(
        layers.Subtract()([ahead, back]), initial_state=found
    )
    return keras.Model(x, [Dense(2, name="out")(read), found[2], ahead])


class Halves(layers.Layer):
    """A layer of a user's that gives two values, and takes two."""

    def build(self, input_shape):
        self.scale = self.add_weight((), "ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale, inputs[:, ::-1] * inputs


def handed_back():
    x = keras.Input((6, 5))
    first, second = Halves()(LSTM(4, return_sequences=True)(x))
    return keras.Model(x, [Dense(2, name="out")(GRU(3)(first)), Dense(1, name="b")(second)])


def repeated():
    x = keras.Input((6, 5))
    read = Dense(2, name="out")(GRU(4)(x))
    return keras.Model(x, [read, layers.Add(name="sum")([read, read]), read])


MODELS = {
    each.__name__: each
    for each in (two_inputs, ids_and_numbers, two_outputs, by_name, states, both_ways, handed_back)
} | {"repeated": repeated, "gru states": lambda: states(GRU)}


def data(model, seed=0):
    """Random samples for a model's inputs and outputs, in their structures."""
    random = np.random.default_rng(seed)

    def of(tensor):
        shape = (ROWS, *tensor.shape[1:])
        whole = str(tensor.dtype).startswith("int")
        drawn = random.integers(0, 9, shape) if whole else random.normal(size=shape)
        return drawn.astype(tensor.dtype)

    return (keras.tree.map_structure(of, ends) for ends in (model.input, model.output))


def losses(model, kinds=("mse", "mae"), weights=(0.3, 1.0, 2.5)):
    names = model.output_names
    if len(names) == 1:
        return {"loss": kinds[0], "metrics": ["mae"]}
    pick = {name: kinds[at % 2] for at, name in enumerate(names)}
    return {
        "loss": pick if isinstance(model.output, dict) else list(pick.values()),
        "loss_weights": dict(zip(names, weights, strict=False)),
        "metrics": {names[0]: ["mae", "mse"], names[1]: ["mse"]},
    }


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_training_is_the_same_to_the_bit(kind, weighted, monkeypatch):
    build = MODELS[kind]
    model = build()
    x, y = data(model)
    compiled = losses(model)
    if not weighted:
        compiled.pop("loss_weights", None)
    stepwise = []
    judged = TrainingPlan._judged
    monkeypatch.setattr(
        TrainingPlan, "_judged", lambda *given: stepwise.append(1) or judged(*given)
    )
    validation = (x, y)
    trained = same(build, x, y, monkeypatch, compiled=compiled, validation_data=validation)
    # The first step of all names losses and metrics; a user's layer may add losses in any.
    assert len(stepwise) <= 1 or kind == "handed_back"
    backs = [node for node in trained.explain_plan() if node.back]
    assert bool(backs) is (kind == "handed_back")


@pytest.mark.parametrize("kind", MODELS)
def test_losses_of_python_train_to_the_same_bits(kind, monkeypatch):
    build = MODELS[kind]
    model = build()
    x, y = data(model)
    compiled = losses(model, ("huber", "log_cosh"))
    weight = np.random.default_rng(5).random(ROWS).astype("float32")
    same(build, x, y, monkeypatch, compiled=compiled, sample_weight=weight, epochs=2)


@pytest.mark.parametrize("kind", MODELS)
def test_calls_and_passes_give_the_bits_of_layers(kind, monkeypatch):
    model = MODELS[kind]()
    model.compile("sgd", **losses(model))
    x, y = data(model)
    monkeypatch.setenv("FERRNN_PLAN", "0")
    called, predicted = model(x), model.predict(x, batch_size=8, verbose=0)
    judged = model.evaluate(x, y, batch_size=8, verbose=0)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    model._inference = (0, None, 0)
    with monkeypatch.context() as patch:
        patch.setattr(steps.Steps, "run_predict_step", None)
        keras.tree.map_structure(
            np.testing.assert_array_equal, model.predict(x, batch_size=8, verbose=0), predicted
        )
    assert model.evaluate(x, y, batch_size=8, verbose=0) == judged
    for _ in range(4):
        found = model(x)
    keras.tree.assert_same_structure(found, called)
    keras.tree.map_structure(np.testing.assert_array_equal, found, called)
    plan = model._inference[1]
    assert (plan is not None and plan._alone) is (kind != "handed_back")


def test_masks_of_several_outputs_are_heeded(monkeypatch):
    def build():
        x = keras.Input((6, 5))
        read = LSTM(4, return_sequences=True)(layers.Masking(0.5)(x))
        last = Dense(2, name="last")(GRU(3)(read))
        return keras.Model(x, [last, Dense(1, name="steps")(read)])

    model = build()
    x, y = data(model)
    x[:, 4:] = 0.5
    compiled = {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}
    same(build, x, y, monkeypatch, compiled=compiled, validation_data=(x, y))


def test_frozen_branches_stay_as_they_are(monkeypatch):
    def build():
        model = two_outputs()
        model.layers[1].trainable = False
        return model

    model = build()
    x, y = data(model)
    same(build, x, y, monkeypatch, compiled=losses(model))


def test_an_output_without_a_loss_is_not_planned(monkeypatch):
    model = two_outputs()
    x, y = data(model)
    model.compile("sgd", {"first": "mse"})
    report = model.explain_plan()
    assert not report.covered
    assert "an output has no loss" in str(report)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        model.fit(x, {"first": y[1]}, verbose=0)


def test_inputs_that_do_not_fit_are_refused_as_before(monkeypatch):
    model = two_inputs()
    model.compile("sgd", "mse")
    x, y = data(model)
    for wrong in ([x[0], x[1], x[1]], [x[1], x[0]], {"series": x[0]}):
        errors = []
        for planned in ("1", "0"):
            monkeypatch.setenv("FERRNN_PLAN", planned)
            for call in (model.fit, model.evaluate):
                with pytest.raises((ValueError, TypeError)) as error:
                    call(wrong, y, batch_size=8, verbose=0)
                errors.append(str(error.value))
        assert errors[:2] == errors[2:]
