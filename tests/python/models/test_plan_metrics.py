"""Metrics of Python in plans see the outputs of many steps: the bits of training without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, losses, metrics
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import GRU, LSTM, Dense
from models.many import compare, groups
from models.planned import data, same, trained
from models.test_plan_classes import ROWS, classifier, inputs, labels
from models.test_plan_masks import padded, tagger
from models.test_plan_weights import SAMPLES


@pytest.fixture
def judged(monkeypatch):
    """The steps that are judged between forward and backward."""
    seen, real = [], TrainingPlan._judged
    monkeypatch.setattr(TrainingPlan, "_judged", lambda *each: seen.append(1) or real(*each))
    return seen


def of_labels():
    return [
        metrics.AUC(name="auc"),
        metrics.Precision(name="precision"),
        metrics.F1Score("macro", 0.4, name="f1"),
        "accuracy",
    ]


@pytest.mark.parametrize("weight", [None, SAMPLES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_metrics_of_labels_train_to_the_same_bits(dtype, weight, judged, monkeypatch):
    compiled = {
        "loss": "binary_crossentropy",
        "metrics": of_labels,
        "weighted_metrics": lambda: [
            metrics.Recall(name="recall"),
            metrics.TruePositives(name="right"),
        ],
    }
    x, y = inputs(dtype), labels("binary")
    given = {"compiled": compiled, "sample_weight": weight, "validation_data": (x, y, weight)}
    given["validation_data"] = (x, y) if weight is None else (x, y, weight)
    model = same(classifier("sigmoid", dtype=dtype), x, y, monkeypatch, **given)
    assert len(judged) == 1  # the first, before weights change, of three epochs of four
    auc = metrics.AUC(name="auc")
    auc.update_state(y, model.predict(x, verbose=0))
    assert model.evaluate(x, y, batch_size=8, verbose=0)[1] == pytest.approx(auc.result(), rel=1e-6)


@pytest.mark.parametrize("limit", [0.0, 0.05])
@pytest.mark.parametrize("shuffle", [False, True])
def test_what_is_logged_is_of_each_steps_own_outputs(shuffle, limit, judged, monkeypatch):
    class Kept(metrics.R2Score):
        """A class of the user's, which is judged step by step."""

    monkeypatch.setattr("ferrnn._src.training.work.LIMIT", limit)
    x, y = data((70, 6, 5), (2,))

    def build():
        return keras.Sequential([keras.Input((6, 5)), LSTM(4), Dense(2)])

    histories = []
    for kind in (metrics.R2Score, Kept):
        del judged[:]
        compiled = {"loss": "huber", "metrics": lambda kind=kind: [kind(name="r2")]}
        given = {"compiled": compiled, "shuffle": shuffle, "epochs": 2}
        histories.append(trained(build, x, y, monkeypatch, planned=True, **given)[1])
        assert len(judged) == (1 if kind is metrics.R2Score else 18)
    assert histories[0] == histories[1]
    assert histories[0]["r2"][0] != histories[0]["r2"][1]


def test_labels_of_two_shapes_serve_loss_and_metrics(judged, monkeypatch):
    compiled = {
        "loss": losses.SparseCategoricalCrossentropy,
        "metrics": lambda: [metrics.SparseTopKCategoricalAccuracy(k=2, name="top")],
    }
    for steps in ((), (6,)):
        del judged[:]
        build = classifier("softmax", steps=bool(steps))
        same(build, inputs(), labels("numbers", steps), monkeypatch, compiled=compiled)
        assert len(judged) == 1


def test_several_outputs_and_inputs_train_to_the_same_bits(judged, monkeypatch):
    def build():
        x = keras.Input((6, 5))
        more = keras.Input((3,))
        read = GRU(4, return_sequences=True)(x)
        joined = layers.Concatenate()([LSTM(3)(read), more])
        return keras.Model([x, more], [Dense(2, name="a")(joined), Dense(3, name="b")(read)])

    compiled = {
        "loss": ["mse", "mae"],
        "metrics": [["mae", metrics.R2Score(name="r2")], [metrics.CosineSimilarity(name="angle")]],
        "weighted_metrics": [[], [metrics.CosineSimilarity(name="weighed")]],
    }
    x, a = data((ROWS, 6, 5), (2,))
    b = data((ROWS, 6, 5), (6, 3), seed=1)[1]
    given = {"compiled": compiled, "sample_weight": [SAMPLES, SAMPLES[::-1].copy()]}
    same(build, [x, b[:, 0].copy()], [a, b], monkeypatch, **given)
    assert len(judged) == 2  # the first learns of the outputs


def test_models_that_are_trained_together_have_metrics_of_their_own(judged):
    def made():
        model = keras.Sequential([keras.Input((6, 2)), LSTM(5), Dense(1)])
        model.compile("adam", "mse", metrics=[metrics.R2Score(name="r2")])
        return model

    compare(made, groups(3), epochs=3, batch_size=4, validation_split=0.2)
    assert len(judged) == 6  # the first of each model, together and alone


def test_masked_outputs_are_judged_step_by_step(judged, monkeypatch):
    compiled = {"loss": "binary_crossentropy", "metrics": lambda: [metrics.AUC(name="auc")]}
    y = labels("binary", (6,))
    same(tagger(4, "sigmoid"), padded(), y, monkeypatch, compiled=compiled)
    assert len(judged) == 12


def test_metrics_that_read_the_model_see_the_weights_that_made_the_outputs(judged, monkeypatch):
    seen = {}
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = classifier("sigmoid")()
        found = seen[planned] = []

        class Norm(metrics.AUC):
            def update_state(self, y_true, y_pred, sample_weight=None, model=model, found=found):
                found.append(float(np.abs(model.get_weights()[0]).sum()))
                super().update_state(y_true, y_pred, sample_weight)

        def norm(y_true, y_pred, model=model, found=found):
            found.append(float(np.abs(model.get_weights()[0]).max()))
            return y_pred[..., 0]

        model.compile("adam", "binary_crossentropy", metrics=[Norm(name="norm"), norm])
        model.fit(inputs(), labels("binary"), batch_size=8, verbose=0)
    assert seen["1"] == seen["0"]
    assert len(set(seen["1"])) > 4


def test_what_a_metric_refuses_is_refused_before_weights_change(monkeypatch):
    x, y = data((ROWS, 6, 5), (6, 2))
    told = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model = keras.Sequential([keras.Input((6, 5)), GRU(4, return_sequences=True), Dense(2)])
        model.compile("adam", "mse", metrics=["R2Score"])
        before = model.get_weights()
        with pytest.raises(ValueError, match="R2Score expects 2D inputs") as raised:
            model.fit(x, y, batch_size=8, verbose=0)
        told.append(str(raised.value))
        for own, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
    assert told[0] == told[1]


def test_a_batch_with_many_outputs_is_a_call_of_its_own(judged, monkeypatch):
    monkeypatch.setattr("ferrnn._src.training.planning._MOST_OUTPUTS", 1)
    works = []
    monkeypatch.setattr(
        TrainingPlan,
        "_work",
        lambda *given, real=TrainingPlan._work, **more: works.append(1) or real(*given, **more),
    )
    compiled = {"loss": "binary_crossentropy", "metrics": of_labels}
    same(classifier("sigmoid"), inputs(), labels("binary"), monkeypatch, compiled=compiled)
    assert (len(judged), len(works)) == (1, 11)


def test_metrics_compiled_anew_and_callbacks_that_look_at_batches(judged, monkeypatch):
    def logs_of(planned):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        told, model = [], classifier("sigmoid")()
        looks = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: told.append((batch, logs))
        )
        for given in (
            [metrics.AUC(name="auc")],
            [metrics.AUC(name="auc"), metrics.Recall(name="recall")],
            ["accuracy"],
        ):
            model.compile("adam", "binary_crossentropy", metrics=given)
            for callbacks in ([], [looks]):
                history = model.fit(
                    inputs(), labels("binary"), batch_size=8, verbose=0, callbacks=callbacks
                )
                told.append(history.history)
            told.append(model.train_on_batch(inputs(), labels("binary")))
        return told, [weight.tolist() for weight in model.get_weights()]

    assert logs_of("1") == logs_of("0")
