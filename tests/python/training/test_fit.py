"""`fit`, `evaluate` and the steps: what is computed, kept, printed and refused."""

import re
import sys

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call
from ferrnn.testing import check_vjp
from training.test_progress import Terminal, screen


class Affine(keras.Layer):
    """`x * scale + shift` with plain NumPy: a layer of whose results every bit is known."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.shift = self.add_weight((input_shape[-1],), "zeros", name="shift")

    def forward(self, inputs, call):
        calls.append(call)

        def vjp(d_outputs, grads):
            grads.add(self.scale, (d_outputs * inputs).sum(0))
            grads.add(self.shift, d_outputs.sum(0))
            return d_outputs * self.scale.value if call.inputs_need_gradient else None

        return inputs * self.scale.value + self.shift.value, vjp


calls = []


def affine(**options):
    calls.clear()
    model = keras.Sequential([keras.Input((1,)), Affine(dtype="float64")])
    model.compile(**{"optimizer": keras.optimizers.SGD(0.1), "loss": "mse", **options})
    return model


X = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
Y = 2 * X + 1


class TestSteps:
    def test_one_step_is_the_closed_form(self):
        model = affine()
        loss = model.train_on_batch(X, Y)
        error = X - Y
        assert loss == pytest.approx(np.mean(error**2))
        scale, shift = model.get_weights()
        assert scale[0] == pytest.approx(1 - 0.1 * 2 * np.mean(error * X))
        assert shift[0] == pytest.approx(0 - 0.1 * 2 * np.mean(error))

    def test_the_loop_takes_the_same_steps(self):
        by_hand, fitted = affine(), affine()
        for _ in range(2):
            for start in (0, 2, 4):
                by_hand.train_on_batch(X[start : start + 2], Y[start : start + 2])
        fitted.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0)
        for one, other in zip(by_hand.get_weights(), fitted.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_training_asks_for_no_more_than_it_needs(self):
        model = affine()
        model.fit(X, Y, verbose=0)
        assert calls[-1] == Call(
            training=True, differentiable=True, inputs_need_gradient=False, consume=True
        )
        model.evaluate(X, Y, verbose=0)
        assert calls[-1] == Call()

    def test_sample_weights_and_class_weights(self):
        weighted, dropped = affine(), affine()
        weighted.train_on_batch(X, Y, sample_weight=np.array([1.0, 1, 0, 0, 0]))
        error = (X - Y)[:2]
        assert weighted.get_weights()[1][0] == pytest.approx(-0.1 * 2 * np.sum(error) / 5)
        labels = np.array([0, 0, 1, 1, 1])
        dropped.fit(X, labels, class_weight={1: 0.0}, epochs=1, verbose=0)
        assert dropped.get_weights()[1][0] == pytest.approx(-0.1 * 2 * np.sum(X[:2]) / 5)

    def test_loss_weights_scale_the_gradient(self):
        model = affine(loss_weights=[0.5])
        assert model.train_on_batch(X, Y) == pytest.approx(0.5 * np.mean((X - Y) ** 2))
        assert model.get_weights()[1][0] == pytest.approx(-0.1 * np.mean(X - Y))

    def test_a_batch_has_values_of_its_own(self):
        model = affine(metrics=["mae"])
        first = model.train_on_batch(X, Y, return_dict=True)
        assert list(first) == ["loss", "mae"]
        before = model.get_weights()
        second = model.test_on_batch(X, Y)
        alone = np.mean(abs(X * before[0] + before[1] - Y))
        assert second[1] == pytest.approx(alone)
        assert model.train_on_batch(X, Y)[1] == pytest.approx(alone)
        assert model.train_on_batch(X, Y)[1] != pytest.approx(alone)
        assert model.metrics_names == ["loss", "compile_metrics"]


class TestHistory:
    def test_epoch_values_are_means_over_samples(self):
        model = affine(metrics=["mae"], optimizer=keras.optimizers.SGD(0.0))
        history = model.fit(X, Y, batch_size=2, epochs=3, verbose=0, validation_data=(X[:3], Y[:3]))
        assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
        assert history.history["loss"] == pytest.approx([np.mean((X - Y) ** 2)] * 3)
        assert history.history["val_mae"] == pytest.approx([np.mean(abs(X - Y)[:3])] * 3)
        assert history.epoch == [0, 1, 2]
        assert history.params == {"verbose": 0, "epochs": 3, "steps": 3}
        assert model.history is history
        assert {type(value) for values in history.history.values() for value in values} == {float}

    def test_validation_split_takes_the_end_before_shuffling(self):
        model = affine(optimizer=keras.optimizers.SGD(0.0))
        history = model.fit(X, Y, validation_split=0.4, verbose=0)
        assert history.history["loss"] == pytest.approx([np.mean((X - Y)[:3] ** 2)])
        assert history.history["val_loss"] == pytest.approx([np.mean((X - Y)[3:] ** 2)])

    @pytest.mark.parametrize(("freq", "runs"), [(1, 4), (2, 2), ([1, 4], 2), (5, 0)])
    def test_validation_may_be_rare(self, freq, runs):
        history = affine().fit(
            X, Y, epochs=4, verbose=0, validation_data=(X, Y), validation_freq=freq
        )
        assert len(history.history.get("val_loss", [])) == runs

    def test_validation_weights_and_steps(self):
        model = affine(optimizer=keras.optimizers.SGD(0.0), weighted_metrics=["mae"])
        weight = np.array([1.0, 0, 0, 0, 0])
        history = model.fit(
            X, Y, verbose=0, validation_data=(X, Y, weight), validation_batch_size=2
        )
        assert history.history["val_mae"] == [2.0]
        history = model.fit(
            X, Y, verbose=0, validation_data=(X, Y), validation_batch_size=2, validation_steps=1
        )
        assert history.history["val_mae"] == [2.5]

    def test_epochs_may_begin_later(self):
        assert affine().fit(X, Y, initial_epoch=3, epochs=5, verbose=0).epoch == [3, 4]

    def test_short_epochs_go_on_where_the_last_ended(self):
        seen = []

        class Spy(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(round(logs["loss"]))

        model = affine(optimizer=keras.optimizers.SGD(0.0))
        options = {"batch_size": 1, "shuffle": False, "verbose": 0, "callbacks": [Spy()]}
        told = "`steps_per_epoch` is 2, and an epoch begins where the one before ended: of the 5"
        with pytest.warns(UserWarning, match=f"ran out of data.*{told} batches of .* 1 were left"):
            model.fit(X, Y, steps_per_epoch=2, epochs=3, **options)
        assert seen == [4, 6, 16, 20, 36]  # means of 4, 9 | 16, 25 | 36: as Keras counts
        with pytest.warns(UserWarning, match="ran out of data.*`steps_per_epoch` is 9"):
            model.fit(X, Y, steps_per_epoch=9, **options)


class TestEvaluate:
    def test_one_number_a_list_or_a_dict(self):
        plain, with_metrics = affine(), affine(metrics=["mae", "mse"])
        square, absolute = np.mean((X - Y) ** 2), np.mean(abs(X - Y))
        assert plain.evaluate(X, Y, verbose=0) == pytest.approx(square)
        assert with_metrics.evaluate(X, Y, batch_size=2, verbose=0) == pytest.approx(
            [square, absolute, square]
        )
        logs = with_metrics.evaluate(X, Y, verbose=0, return_dict=True)
        assert logs == pytest.approx({"loss": square, "mae": absolute, "mse": square})

    def test_first_steps_only(self):
        assert affine().evaluate(X, Y, batch_size=2, steps=1, verbose=0) == pytest.approx(6.5)


class TestOutput:
    def test_plain_lines_when_nobody_watches(self, capsys):
        affine(metrics=["mae"]).fit(X, Y, batch_size=2, epochs=2, validation_split=0.2)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0::2] == ["Epoch 1/2", "Epoch 2/2"]
        for line in lines[1::2]:
            assert re.fullmatch(
                r"2/2 - 0s - \d+[mu]s/step - loss: \S+ - mae: \S+ - val_loss: \S+ - val_mae: \S+",
                line,
            )

    def test_a_bar_on_a_terminal(self, monkeypatch):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        affine().fit(X, Y, batch_size=2)
        line, rest = screen(terminal.getvalue())
        assert re.fullmatch(r"3/3 ━{20} 0s \d+[mu]s/step - loss: \d+\.\d{4}", line)
        assert rest == ""

    def test_silence(self, capsys):
        model = affine()
        model.fit(X, Y, verbose=0)
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
        assert capsys.readouterr().out == ""

    def test_evaluate_and_predict_have_a_line_each(self, capsys):
        model = affine()
        model.evaluate(X, Y, batch_size=2)
        model.predict(X, batch_size=2)
        first, second = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"3/3 - 0s - \d+[mu]s/step - loss: \S+", first)
        assert re.fullmatch(r"3/3 - 0s - \d+[mu]s/step", second)

    def test_verbose_must_be_known(self):
        with pytest.raises(ValueError, match="`verbose` must be 'auto', 0, 1 or 2, received 3"):
            affine().fit(X, Y, verbose=3)


class TestLearning:
    def test_a_line_is_found(self):
        model = affine(optimizer=keras.optimizers.Adam(0.1))
        model.fit(X, Y, batch_size=5, epochs=500, verbose=0)
        np.testing.assert_allclose(model.get_weights(), [[2.0], [1.0]], atol=1e-3)

    def test_classes_are_told_apart(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 300)
        x = rng.normal(size=(300, 2)) * 0.3 + np.array([[0, 2], [2, 0], [-2, -1]])[labels]
        model = keras.Sequential([keras.layers.Dense(3, "softmax")])
        model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.optimizer.learning_rate = 0.05
        history = model.fit(x, labels, epochs=15, verbose=0, validation_split=0.3)
        assert history.history["val_accuracy"][-1] > 0.97

    def test_a_delayed_echo_is_learnt_by_a_recurrent_model(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(256, 8, 1))
        model = keras.Sequential([keras.layers.LSTM(8), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.02), loss="mse")
        model.fit(x, x[:, -3], epochs=25, verbose=0)
        fresh = rng.normal(size=(128, 8, 1))
        assert model.evaluate(fresh, fresh[:, -3], verbose=0) < 0.15

    def test_the_gradient_of_the_whole_model_is_right(self):
        rng = np.random.default_rng(0)
        model = keras.Sequential(
            [
                keras.Input((4, 3)),
                keras.layers.GRU(5, return_sequences=True, dtype="float64"),
                keras.layers.SimpleRNN(4, dtype="float64"),
                keras.layers.Dense(2, dtype="float64"),
            ]
        )
        check_vjp(
            lambda x: model.forward(x, Call(differentiable=True)),
            rng.normal(size=(3, 4, 3)),
            model.weights,
        )


class TestNotFinite:
    @pytest.mark.filterwarnings("ignore:invalid:RuntimeWarning")
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_names_the_array_and_the_sample(self, bad):
        x = X.copy()
        x[3] = bad
        with pytest.warns(
            RuntimeWarning, match=r"epoch 1, batch 2.*`x` holds (nan|inf) at sample 3"
        ):
            affine().fit(x, Y, batch_size=2, epochs=3, shuffle=False, verbose=0)

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
    def test_or_says_that_training_diverged(self):
        model = affine(optimizer=keras.optimizers.SGD(1e200))
        with pytest.warns(RuntimeWarning, match="training diverged"):
            model.fit(X, Y, epochs=4, verbose=0)


class TestErrors:
    def test_before_compile(self):
        model = keras.Sequential([keras.layers.Dense(1)])
        for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(ValueError, match=r"You must call `compile\(\)` before"):
                method(X, Y)

    def test_no_loss_no_targets_no_samples(self):
        with pytest.raises(ValueError, match="No loss to compute"):
            affine(loss=None).fit(X, Y, verbose=0)
        with pytest.raises(ValueError, match="`y` is None"):
            affine().fit(X, verbose=0)
        for method in (affine().fit, affine().evaluate, affine().train_on_batch):
            with pytest.raises(ValueError, match=r"at least one sample.*\(0, 1\)"):
                method(X[:0], Y[:0])

    def test_no_optimizer(self):
        model = affine(optimizer=None)
        assert model.evaluate(X, Y, verbose=0) > 0
        with pytest.raises(ValueError, match="requires an optimizer"):
            model.fit(X, Y, verbose=0)

    def test_a_loss_that_is_not_one_number(self):
        with pytest.raises(ValueError, match="one value per sample"):
            affine(loss=keras.losses.MeanSquaredError(reduction=None)).fit(X, Y, verbose=0)

    def test_a_loss_without_a_gradient(self):
        model = affine(loss=lambda y_true, y_pred: np.sort(abs(y_true - y_pred)))
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(4.0)
        with pytest.raises(TypeError, match=r"`numpy.sort` .* use `ops.sort`"):
            model.fit(X, Y, verbose=0)

    def test_validation_data_that_is_not_a_pair(self):
        for data in (X, (X,), (X, Y, Y, Y)):
            with pytest.raises(ValueError, match="`validation_data` must be a tuple"):
                affine().fit(X, Y, validation_data=data, verbose=0)
        with pytest.raises(ValueError, match="`validation_freq`"):
            affine().fit(X, Y, validation_data=(X, Y), validation_freq=0, verbose=0)
        with pytest.raises(ValueError, match="`steps_per_epoch`"):
            affine().fit(X, Y, steps_per_epoch=0, verbose=0)

    def test_nothing_to_train(self):
        model = affine()
        model.trainable = False
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            model.fit(X, Y, verbose=0)
        assert model.get_weights()[0] == 1


class TestArgumentsAreNamed:
    """What `fit` cannot use is refused with the argument's name."""

    @each_case("value", [2.0, "3", True, -1, None])
    @each_case("argument", ["epochs", "initial_epoch"])
    def test_epochs(self, argument, value):
        with pytest.raises(ValueError, match=f"`{argument}` must be an? integer of at least 0"):
            affine().fit(X, Y, verbose=0, **{argument: value})

    @pytest.mark.parametrize("value", [2.0, 0])
    def test_numbers_of_steps(self, value):
        for argument in ("steps_per_epoch", "validation_steps", "validation_batch_size"):
            options = {argument: value, "validation_data": (X, Y)}
            with pytest.raises(ValueError, match=f"`{argument}` must be a positive integer"):
                affine().fit(X, Y, verbose=0, **options)
        with pytest.raises(ValueError, match="`steps` must be a positive integer"):
            affine().predict(X, steps=value, verbose=0)
        with pytest.raises(ValueError, match="`steps` must be a positive integer"):
            affine().evaluate(X, Y, steps=value, verbose=0)

    def test_class_weight(self):
        with pytest.raises(TypeError, match=r"`class_weight` must be a dict .* received list"):
            affine().fit(X, Y, verbose=0, class_weight=[1, 2])

    @pytest.mark.parametrize("given", [object(), keras.callbacks.EarlyStopping])
    def test_callbacks(self, given):
        with pytest.raises(TypeError, match="`callbacks` must be `Callback` objects, received <"):
            affine().fit(X, Y, verbose=0, callbacks=[given])
        with pytest.raises(TypeError, match="`callbacks` must be `Callback` objects, received 5"):
            affine().fit(X, Y, verbose=0, callbacks=5)
