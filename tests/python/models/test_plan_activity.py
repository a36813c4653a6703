"""Activity regularizers in plans: the engine runs the layer, Python its penalty."""

import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import check_step, data, same


def recurrent(x):
    return LSTM(4, activity_regularizer="l2")(x)


def sequences(x):
    x = layers.Masking(0.5)(x)
    x = layers.Bidirectional(GRU(3, return_sequences=True), activity_regularizer="l1")(x)
    return GRU(4)(layers.LayerNormalization(activity_regularizer=keras.regularizers.L1L2(1, 2))(x))


def forked(x):
    x = GRU(4, return_sequences=True)(Dense(5, "gelu", activity_regularizer="l2")(x))
    penalized = Dense(4, "tanh", activity_regularizer=keras.regularizers.L2(0.3))(x)
    return LSTM(3)(layers.Add()([x, penalized, layers.Dropout(0.3, seed=1)(penalized)]))


def twice(x):
    layer = LSTM(5, return_sequences=True, activity_regularizer="l2")
    return GRU(3)(layer(layer(x)))


BODIES = {each.__name__: each for each in (recurrent, sequences, forked, twice)}


def model_of(body):
    def build():
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, Dense(3, activity_regularizer="l2")(body(inputs)))

    return build


@pytest.mark.parametrize("kind", BODIES)
def test_penalties_on_outputs_are_the_same_to_the_bit(kind, monkeypatch):
    x, y = data()
    x[:, 4:] = 0.5
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    model = same(model_of(BODIES[kind]), x, y, monkeypatch, **given)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    backs = {node.back for node in model.explain_plan() if node.back}
    assert "its activity regularizer is computed in Python" in backs
    assert len(model.losses) > 0
    judged = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        judged.append([model.evaluate(x, y, verbose=0)[0], *model.predict(x, verbose=0).ravel()])
    assert judged[0] == judged[1]


def test_layers_of_several_outputs_are_pythons(monkeypatch):
    def body(x):
        outputs, state = GRU(4, return_state=True, activity_regularizer="l2")(x)
        return layers.Concatenate()([outputs, state])

    x, y = data()
    model = same(model_of(body), x, y, monkeypatch)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    assert "it has an activity regularizer" in str(model.explain_plan())


def test_gradients_against_differences(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    keras.config.set_floatx("float64")
    try:
        model = model_of(recurrent)()
        model.compile(keras.optimizers.SGD(1.0), "mse")
        x, y = data(dtype="float64")
        check_step(
            model,
            lambda: model.train_on_batch(x, y),
            lambda: model.evaluate(x, y, batch_size=len(x), verbose=0),
            rtol=1e-5,
        )
    finally:
        keras.config.set_floatx("float32")
