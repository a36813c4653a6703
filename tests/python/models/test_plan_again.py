"""What may change between two batches that are alike is noticed, by plans and without them."""

import numpy as np
import pytest

import ferrnn as keras
from models.again import both_ways, counted, restored  # noqa: F401 - fixtures


def metric_of(model, number):
    return model._metrics.metrics[number]


def in_place(weight):
    with weight.writing() as array:
        array[...] *= 0.5


def squared(model):
    metric_of(model, 0).loss = keras.losses.MeanSquaredError()


def held(model):
    model.extra = keras.metrics.Mean(name="extra")
    model.extra.update_state([1.0, 3.0])


def variable(model):
    metric_of(model, 0).more = keras.Variable(2.0)


def by_step(model):
    type(model).train_step = lambda self, given: {"loss": 1.0, "own": float(np.sum(given[0]))}


def by_test_step(model):
    type(model).test_step = lambda self, given: {"loss": 2.0}


def reset(model):
    kind = type(model)
    kind.reset_metrics = lambda self: None


def doubled(model):
    kind = type(model)
    kind.get_metrics_result = lambda self: {
        name: 2 * value
        for name, value in super(keras.Sequential, self).get_metrics_result().items()
    }


CHANGES = {
    "nothing": lambda model: None,
    "rate": lambda model: setattr(model.optimizer, "learning_rate", 0.5),
    "rate in place": lambda model: model.optimizer.learning_rate.assign(0.3),
    "rate by a function": lambda model: setattr(model.optimizer, "learning_rate", lambda: 0.2),
    "beta": lambda model: setattr(model.optimizer, "beta_1", 0.5),
    "epsilon of Adam": lambda model: setattr(model.optimizer, "epsilon", 0.1),
    "decay": lambda model: setattr(model.optimizer, "weight_decay", 0.3),
    "scale": lambda model: setattr(model.optimizer, "loss_scale_factor", 3.0),
    "optimizer": lambda model: setattr(model, "optimizer", keras.optimizers.SGD(0.1)),
    "iterations": lambda model: model.optimizer.iterations.assign(100),
    "slot": lambda model: model.optimizer.variables[-1].assign([0.7]),
    "slots in place": lambda model: in_place(model.optimizer.variables[2]),
    "delta": lambda model: setattr(model._loss.only, "delta", 0.01),
    "reduction": lambda model: setattr(model._loss.only, "reduction", "sum"),
    "dtype of the loss": lambda model: setattr(model._loss.only, "dtype", "float64"),
    "loss of a metric": squared,
    "threshold": lambda model: metric_of(model, 1)._arguments.update(threshold=0.9),
    "name": lambda model: setattr(metric_of(model, 0), "name", "aa"),
    "same names": lambda model: setattr(metric_of(model, 0), "name", "binary_accuracy"),
    "name of the loss": lambda model: setattr(metric_of(model, 1), "name", "loss"),
    "variable of a metric": variable,
    "metric of the model": held,
    "penalty": lambda model: setattr(model.weights[0].regularizer, "l2", 0.5),
    "another penalty": lambda model: setattr(
        model.weights[0], "regularizer", keras.regularizers.L1(0.4)
    ),
    "epsilon": lambda model: keras.config.set_epsilon(0.2),
    "frozen": lambda model: setattr(model.layers[0], "trainable", False),
    "weights": lambda model: model.set_weights([w * 0.5 for w in model.get_weights()]),
    "weight": lambda model: model.weights[1].assign(model.weights[1] * 2),
    "weight in place": lambda model: in_place(model.weights[0]),
    "eagerly": lambda model: setattr(model, "run_eagerly", True),
    "compiled": lambda model: model.compile("sgd", "mae", metrics=["mse"]),
    "rate of dropout": lambda model: setattr(model.layers[1], "rate", 0.7),
    "activation": lambda model: setattr(model.layers[2], "activation", keras.activations.sigmoid),
    "train_step": by_step,
    "test_step": by_test_step,
    "reset_metrics": reset,
    "get_metrics_result": doubled,
    "gathered": lambda model: metric_of(model, 0).update_state([[1.0]], [[9.0]]),
    "seed": lambda model: setattr(model.layers[1].seed_generator, "counter", 50),
}
LOSSES = {"epsilon": keras.losses.BinaryCrossentropy}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_holds_from_the_next_batch_on(what, monkeypatch, again):
    def run(model, x, y):
        told = []
        for change in (lambda _: None, CHANGES[what], lambda _: None):
            change(model)
            for _ in range(3):
                told += [model.train_on_batch(x, y), model.test_on_batch(x, y)]
            told += [model.train_on_batch(x, y, return_dict=True), model.get_metrics_result()]
            told.append(model.test_on_batch(x, y, return_dict=True))
        return told

    loss = keras.losses.BinaryCrossentropy if what == "epsilon" else None
    both_ways(run, monkeypatch, **({"loss": loss()} if loss else {}))
    assert sum(work is not None for work in again) >= 4


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_holds_where_nothing_is_trained(what, monkeypatch, again):
    def run(model, x, y):
        model.optimizer.build(model.trainable_weights)
        told = []
        for change in (lambda _: None, CHANGES[what], lambda _: None):
            change(model)
            told += [model.test_on_batch(x, y) for _ in range(5)]
            told.append(model.test_on_batch(x, y, return_dict=True))
        return told

    both_ways(run, monkeypatch)
    assert sum(loss is not None for loss in again) >= 2
