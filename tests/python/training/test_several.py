"""Training with several inputs and outputs: losses, weights, metrics, their names and order."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(12, 3)).astype("float32"), RNG.normal(size=(12, 4)).astype("float32")
UP, DOWN = RNG.normal(size=(12, 1)), RNG.integers(0, 2, 12)


def model(**options):
    keras.utils.set_random_seed(3)
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    both = Dense(5, activation="tanh")(a) + Dense(5)(b)
    up = Dense(1, name="up")(both)
    down = Dense(2, activation="softmax", name="down")(both)
    made = keras.Model([a, b], [up, down])
    if options:
        made.compile(keras.optimizers.SGD(0.1), **options)
    return made


LOSSES = {"up": "mse", "down": "sparse_categorical_crossentropy"}


def parts(made, x=(A, B), **weights):
    up, down = made.predict(list(x), verbose=0)
    square = (up[:, 0] - UP[:, 0]) ** 2
    entropy = -np.log(down[np.arange(12), DOWN])
    return [
        np.mean(each * weights.get(name, 1.0)) for name, each in (("up", square), ("down", entropy))
    ]


class TestLosses:
    @pytest.mark.parametrize("kind", [list, dict])
    def test_are_summed_with_their_weights(self, kind):
        loss, weights = (LOSSES, {"up": 0.5, "down": 2.0})
        if kind is list:
            loss, weights = list(loss.values()), list(weights.values())
        made = model(loss=loss, loss_weights=weights)
        up, down = parts(made)
        logs = made.evaluate([A, B], [UP, DOWN], verbose=0, return_dict=True)
        assert logs == pytest.approx(
            {"loss": 0.5 * up + 2 * down, "up_loss": up, "down_loss": down}, rel=1e-5
        )
        assert list(logs) == ["down_loss", "loss", "up_loss"]
        assert made.evaluate([A, B], [UP, DOWN], verbose=0) == [
            logs[name] for name in ("loss", "up_loss", "down_loss")
        ]

    def test_one_for_all(self):
        a = keras.Input((3,))
        made = keras.Model(a, [Dense(1)(a), Dense(2)(a)])
        made.compile("sgd", loss="mae", loss_weights=2.0)
        y = [np.zeros((12, 1)), np.zeros((12, 2))]
        total, one, two = made.evaluate(A, y, verbose=0)
        assert total == pytest.approx(2 * (one + two))

    def test_of_one_output_only(self):
        made = model(loss={"down": LOSSES["down"]})
        logs = made.evaluate({"a": A, "b": B}, {"down": DOWN}, verbose=0, return_dict=True)
        assert logs == pytest.approx({"loss": parts(made)[1]}, rel=1e-5)
        with pytest.warns(UserWarning, match="Gradients do not exist for variables .*up/kernel"):
            history = made.fit([A, B], {"down": DOWN}, epochs=20, verbose=0).history["loss"]
        assert history[-1] < history[0] * 0.9

    def test_go_down(self):
        made = model(loss=LOSSES, metrics={"down": ["accuracy"]})
        history = made.fit(
            {"a": A, "b": B}, {"up": UP, "down": DOWN}, epochs=60, verbose=0, batch_size=4
        ).history
        for name in ("loss", "up_loss", "down_loss"):
            assert history[name][-1] < history[name][0] * 0.8
        assert history["down_accuracy"][-1] > history["down_accuracy"][0]

    @pytest.mark.parametrize("single", [False, True])
    def test_sample_weights_of_each_output_or_of_all(self, single):
        made = model(loss=LOSSES)
        weight = np.linspace(0, 2, 12)
        given = weight if single else {"up": weight, "down": weight[::-1]}
        _, up, down = made.evaluate([A, B], [UP, DOWN], sample_weight=given, verbose=0)
        expected = parts(made, up=weight, down=weight if single else weight[::-1])
        assert [up, down] == pytest.approx(expected, rel=1e-5)

    def test_masks_belong_to_their_outputs(self):
        series = keras.Input((4, 3))
        read = LSTM(2, return_sequences=True, name="read")(series)
        last = LSTM(2, name="last")(read)
        made = keras.Model(series, [read, last])
        made.compile("sgd", loss="mse")
        x = RNG.normal(size=(6, 4, 3)).astype("float32")
        mask = np.arange(4) < np.array([4, 3, 2, 1, 4, 2])[:, None]
        outputs, masks, _ = made.outputs_and_mask(x, keras.Call(mask=mask))
        y = [np.zeros((6, 4, 2)), np.zeros((6, 2))]
        made._data_loss(y, outputs, None, masks)
        masked = (np.asarray(outputs[0]) ** 2).mean(-1)[mask].mean()
        assert made.metrics[1].result() == pytest.approx(masked, rel=1e-5)


class TestMetrics:
    def test_names_and_order_are_those_of_keras(self):
        made = model(
            loss=LOSSES,
            metrics={"up": ["mse", "mae"]},
            weighted_metrics={"down": ["acc"], "up": ["mae"]},
        )
        history = made.fit([A, B], [UP, DOWN], validation_data=([A, B], [UP, DOWN]), verbose=0)
        names = ["loss", "down_acc", "down_loss", "up_loss", "up_mae", "up_mse", "up_weighted_mae"]
        assert list(history.history) == [*sorted(names), *(f"val_{name}" for name in sorted(names))]
        listed = made.evaluate([A, B], [UP, DOWN], verbose=0)
        logs = made.evaluate([A, B], [UP, DOWN], verbose=0, return_dict=True)
        ordered = [
            "loss",
            "up_loss",
            "down_loss",
            "down_acc",
            "up_mae",
            "up_mse",
            "up_weighted_mae",
        ]
        assert listed == [logs[name] for name in ordered]

    def test_of_one_output_stand_in_the_order_of_compile(self):
        made = keras.Sequential([Dense(1)])
        made.compile("sgd", loss="mse", metrics=["mse", "mae"])
        logs = made.evaluate(A, UP, verbose=0, return_dict=True)
        assert made.evaluate(A, UP, verbose=0) == [logs["loss"], logs["mse"], logs["mae"]]

    def test_given_as_lists(self):
        made = model(loss=LOSSES, metrics=[["mae"], ["accuracy"]])
        logs = made.evaluate([A, B], [UP, DOWN], verbose=0, return_dict=True)
        assert {"up_mae", "down_accuracy"} < set(logs)


class TestErrors:
    def test_of_names_and_numbers(self):
        data = [A, B], [UP, DOWN]
        with pytest.raises(ValueError, match=r"`loss`, the keys \['left'\] do not correspond"):
            model(loss={"left": "mse"}).evaluate(*data, verbose=0)
        with pytest.raises(ValueError, match=r"`loss` argument as a list.*of length 3"):
            model(loss=["mse"] * 3).evaluate(*data, verbose=0)
        with pytest.raises(ValueError, match=r"`metrics` argument as a list.*of length 1"):
            model(loss=LOSSES, metrics=["mae"]).evaluate(*data, verbose=0)
        with pytest.raises(ValueError, match="`loss_weights` must have as many entries as `loss`"):
            model(loss="mse", loss_weights=[1.0, 2.0])
        with pytest.raises(ValueError, match="`y` must have an array for each of the 2 outputs"):
            model(loss=LOSSES).evaluate([A, B], UP, verbose=0)
        with pytest.raises(ValueError, match="needs targets for the output 'down'"):
            model(loss=LOSSES).evaluate([A, B], {"up": UP}, verbose=0)
        with pytest.raises(ValueError, match="only have one scalar score per sample"):
            model(loss=LOSSES).evaluate(*data, sample_weight=np.ones((12, 1)), verbose=0)

    def test_of_cardinality(self):
        with pytest.raises(ValueError, match=r"ambiguous.*'x' sizes: 12, 11, 'y' sizes: 12, 12"):
            model(loss=LOSSES).fit([A, B[1:]], [UP, DOWN], verbose=0)

    def test_class_weights_are_for_one_output(self):
        with pytest.raises(ValueError, match="Models with a single output"):
            model(loss=LOSSES).fit([A, B], [UP, DOWN], class_weight={0: 1.0}, verbose=0)
