"""What the log says of users' code that plans hand back to Python."""

import logging

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn._src.programs import telling
from models.planned import data


class Sorted(layers.Layer):
    def call(self, inputs):
        return ops.sort(inputs)


class Counting(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * 2


class Twice(layers.Layer):
    def call(self, inputs):
        return inputs * 2


class Own(layers.Layer):
    """With a gradient of its own, which no program has."""

    def forward(self, inputs, call):
        return inputs * 2, lambda d_outputs, grads: d_outputs * 2


class Middle(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.sum(ops.sort(ops.abs(y_true - y_pred))[..., 1:], axis=-1)


class Seen(keras.metrics.Metric):
    """With state of its own."""

    def __init__(self):
        super().__init__(name="seen")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(len(y_true))

    def result(self):
        return self.count.value


def sorted_rows(inputs):
    return ops.sort(inputs)


def worst(y_true, y_pred):
    return ops.sort(ops.abs(y_true - y_pred))[..., -1]


def mean(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@pytest.fixture(autouse=True)
def heard(caplog):
    telling.forget()
    with caplog.at_level(logging.WARNING, "ferrnn"):
        yield caplog
    telling.forget()


def fitted(layer=None, loss="mse", metrics=()):
    x, y = data()
    for _ in range(2):  # other layers of the same class, with other names
        inputs = keras.Input((6, 5))
        values = layers.GRU(4)(inputs)
        model = keras.Model(inputs, layers.Dense(3)(values if layer is None else layer()(values)))
        model.compile("sgd", loss, metrics=list(metrics))
        model.fit(x, y, batch_size=8, epochs=2, validation_data=(x, y), verbose=0)
        model.evaluate(x, y, batch_size=8, verbose=0)
        model.predict(x, batch_size=8, verbose=0)
    return model


SAID = {
    "layer": ({"layer": Sorted}, "a part of the layer `Sorted` runs"),
    "lambda": (
        {"layer": lambda: layers.Lambda(sorted_rows)},
        "a part of the function `sorted_rows` of a Lambda runs",
    ),
    "operation": ({"layer": lambda: ops.sort}, "a part of a model runs"),
    "loss class": ({"loss": Middle()}, "the loss `Middle` is computed"),
    "loss function": ({"loss": worst}, "the loss `worst` is computed"),
    "metric": ({"metrics": [worst]}, "the metric `worst` is computed"),
}


@pytest.mark.parametrize("kind", SAID)
def test_code_that_is_handed_back_is_named_once_with_the_reason(kind, heard):
    given, said = SAID[kind]
    fitted(**given)
    (message,) = heard.messages
    assert message.startswith(f"{said} in Python, not in the engine: ")
    assert message.endswith(" the operation `sort`")


def test_a_layer_that_is_python_s_as_a_whole_is_named(heard):
    fitted(layer=Counting)
    (message,) = heard.messages
    assert message == (
        "the layer `Counting` runs in Python, not in the engine: its code has an assignment to an "
        "attribute of its own"
    )


def test_each_kind_and_reason_is_a_message_of_its_own(heard):
    fitted(layer=Sorted, loss=Middle(), metrics=[worst])
    fitted(layer=Sorted, loss=worst)
    kinds = [" ".join(message.split()[:4]) for message in heard.messages]
    parts = ["a part of the", "the loss `Middle` is", "the loss `worst` is"]
    assert sorted(kinds) == [*parts, "the metric `worst` is"]


@pytest.mark.parametrize(
    "given",
    [
        {"layer": Twice, "loss": mean, "metrics": [mean]},
        {"layer": lambda: layers.Lambda(lambda v: v * 2)},
        {"layer": Own},
        {"layer": lambda: layers.GaussianNoise(0.1)},
        {"metrics": [Seen()]},
        {"metrics": [keras.metrics.AUC()], "loss": keras.losses.LogCosh()},
    ],
)
def test_nothing_is_said_of_programs_nor_of_what_could_be_none(given, heard):
    fitted(**given)
    assert not heard.messages


def test_nothing_is_said_where_no_plan_runs(heard, monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "0")
    model = fitted(layer=Sorted, loss=Middle(), metrics=[worst])
    monkeypatch.delenv("FERRNN_PLAN")
    model.explain_plan()
    assert not heard.messages


def test_batches_of_a_dataset_say_no_more(heard):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.ones((4, 6, 5), "float32"), np.ones((4, 3), "float32")

    for layer in (Twice, Sorted):
        model = keras.Sequential([keras.Input((6, 5)), layers.GRU(4), layer(), layers.Dense(3)])
        model.compile("sgd", mean)
        model.fit(Batches(), epochs=2, verbose=0)
    assert [message.split("`")[1] for message in heard.messages] == ["Sorted"]


def test_the_level_of_the_log_silences_it(heard):
    with heard.at_level(logging.ERROR, "ferrnn"):
        fitted(layer=Sorted)
    assert not heard.messages
