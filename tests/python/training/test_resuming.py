"""Trainings that go on from a checkpoint, by kind of model, data and callback."""

import random

import numpy as np
import pytest

import ferrnn as keras
from interrupting import Stop, check, data, small

layers = keras.layers


class TestModels:
    def test_several_outputs_and_every_kind_of_metric(self, tmp_path):
        def make():
            inputs = keras.Input((4, 3))
            hidden = layers.LSTM(3, recurrent_dropout=0.2)(layers.SpatialDropout1D(0.2)(inputs))
            ends = [layers.Dense(1, name="a")(hidden), layers.Dense(2, "softmax", name="b")(hidden)]
            made = keras.Model(inputs, ends)
            metrics = {"a": ["mae", keras.metrics.R2Score()], "b": ["accuracy", "AUC", "F1Score"]}
            made.compile("nadam", {"a": "mse", "b": "crossentropy"}, metrics=metrics)
            return made

        x, y = data()
        hot = np.eye(2)[(y[:, 0] > 0).astype(int)]

        def fit(made, callbacks):
            return made.fit(x, [y, hot], batch_size=8, epochs=3, verbose=0, callbacks=callbacks)

        check(tmp_path, make, fit)

    def test_states_that_layers_carry(self, tmp_path):
        def make():
            made = keras.Sequential(
                [
                    keras.Input((4, 3), batch_size=4),
                    layers.Bidirectional(layers.LSTM(3, stateful=True, return_sequences=True)),
                    layers.GRU(2, stateful=True),
                    layers.Dense(1),
                ]
            )
            made.compile("rmsprop", "mse")
            return made

        x, y = data()
        check(
            tmp_path,
            make,
            lambda made, callbacks: made.fit(
                x, y, batch_size=4, epochs=3, verbose=0, shuffle=False, callbacks=callbacks
            ),
        )

    def test_a_model_with_two_optimizers_counters_and_generators(self, tmp_path):
        class Pair(keras.Model):
            def __init__(self):
                super().__init__()
                self.one, self.other = layers.Dense(2), layers.Dense(1)
                self.second = keras.optimizers.SGD(0.05, momentum=0.9)
                self.scales = [keras.Variable(1.0), {"last": keras.Variable(2.0, trainable=False)}]
                self.rng = np.random.default_rng()
                self.dice = random.Random()
                self.steps = 0
                self.gathered = keras.metrics.Mean(name="gathered")

            def call(self, inputs):
                return self.other(self.one(inputs[:, 0]))

            def train_step(self, data):
                x, y = data
                self.steps += 1
                noise = self.rng.normal() + self.dice.random() + np.random.normal()  # noqa: NPY002
                loss, grads = self.value_and_gradients(
                    lambda: keras.ops.mean((self(x) - y - noise / self.steps) ** 2)
                )
                turn = self.optimizer if self.steps % 2 else self.second
                turn.apply(grads, tuple(self.trainable_weights))
                self.scales[1]["last"].assign(loss)
                self.gathered.update_state(loss + self.scales[1]["last"].numpy())
                return {"loss": loss, "gathered": self.gathered.result()}

        def make():
            made = Pair()
            made.rng = np.random.default_rng(np.random.randint(99))  # noqa: NPY002
            made.dice.seed(np.random.randint(99))  # noqa: NPY002
            made.build((None, 4, 3))
            made.compile(keras.optimizers.Adam(0.01), "mse")
            return made

        x, y = data()
        check(
            tmp_path,
            make,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks
            ),
        )

    def test_averages_accumulation_and_swaps(self, tmp_path):
        def make():
            made = small()
            optimizer = keras.optimizers.AdamW(
                0.01, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=3
            )
            made.compile(optimizer, "mse", metrics=["mae"])
            return made

        x, y = data()

        def fit(made, callbacks):
            swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
            return made.fit(
                x,
                y,
                batch_size=8,
                epochs=3,
                verbose=0,
                validation_split=0.2,
                callbacks=[*callbacks, swap],
            )

        check(tmp_path, make, fit)

    def test_another_model_is_refused(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b")
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, verbose=0, epochs=3, callbacks=[keep, Stop(3)])
        wider = keras.Sequential([keras.Input((4, 3)), layers.GRU(4), layers.Dense(1)])
        wider.compile("adam", "mse")
        with pytest.raises(
            ValueError, match=r"of another model: .* must have the shape \(3, 12\).* \(3, 9\)"
        ):
            wider.fit(x, y, verbose=0, epochs=3, callbacks=[keep])
        longer = keras.Sequential(
            [keras.Input((4, 3)), layers.GRU(3), layers.Dense(1), layers.Dense(1)]
        )
        longer.compile("adam", "mse")
        with pytest.raises(ValueError, match="of another model"):
            longer.fit(x, y, verbose=0, epochs=3, callbacks=[keep])
        other = small()
        other.compile(keras.optimizers.SGD(), "mse")
        with pytest.raises(ValueError, match="made with another optimizer"):
            other.fit(x, y, verbose=0, epochs=3, callbacks=[keep])


class TestData:
    def test_epochs_shorter_than_the_data(self, tmp_path):
        x, y = data()
        check(
            tmp_path,
            small,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, steps_per_epoch=3, epochs=5, verbose=0, callbacks=callbacks
            ),
        )

    def test_shuffled_in_blocks(self, tmp_path):
        x, y = data()
        check(
            tmp_path,
            small,
            lambda made, callbacks: made.fit(
                x, y, batch_size=8, shuffle="batch", epochs=3, verbose=0, callbacks=callbacks
            ),
        )

    def test_streams_of_windows(self, tmp_path):
        series = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
        rng = np.random.default_rng()

        def noisy(x, y):
            return x + rng.normal(size=x.shape).astype("float32"), y

        def fit(made, callbacks):
            seed = np.random.randint(9)  # noqa: NPY002
            rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
            windows = keras.utils.timeseries_dataset_from_array(
                series, series[4:, :1], 4, batch_size=8, shuffle=True
            )
            return made.fit(
                windows.map(noisy).skip(1),
                validation_data=windows.take(2),
                epochs=3,
                verbose=0,
                callbacks=callbacks,
            )

        check(tmp_path, small, fit)

    def test_a_generator_is_gone_through_again(self, tmp_path):
        def batches(x, y, rng):
            order = np.arange(len(x))
            while True:
                rng.shuffle(order)
                yield x[order[:8]], y[order[:8]]

        def fit(made, callbacks):
            rng = np.random.default_rng(np.random.randint(99))  # noqa: NPY002
            own = np.random.default_rng(4)
            return made.fit(
                batches(*data(), rng),
                validation_data=batches(*data(), own),
                steps_per_epoch=5,
                validation_steps=2,
                epochs=3,
                verbose=0,
                callbacks=callbacks,
            )

        check(tmp_path, small, fit)

    def test_a_dataset_goes_on_by_index(self, tmp_path):
        asked = []

        class Ordered(keras.utils.PyDataset):
            def __init__(self):
                super().__init__()
                self.x, self.y = data()
                self.frame = {"rows": list(np.arange(44))}  # no plain attribute: NumPy's integers

            def __len__(self):
                return 5

            def __getitem__(self, index):
                asked.append(index)
                rows = np.array(self.frame["rows"][8 * index : 8 * index + 8])
                return self.x[rows], self.y[rows] + np.random.normal()  # noqa: NPY002

            def on_epoch_begin(self):
                self.frame["rows"] = self.frame["rows"][1:] + self.frame["rows"][:1]

            def on_epoch_end(self):
                random.shuffle(self.frame["rows"])

        def fit(made, callbacks):
            return made.fit(Ordered(), epochs=4, verbose=0, callbacks=callbacks)

        check(tmp_path, small, fit, stops=(3, 5, 7, 13))
        keep = [keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=3)]
        with pytest.raises(KeyboardInterrupt):
            small().fit(Ordered(), epochs=2, verbose=0, callbacks=[*keep, Stop(4)])
        asked.clear()
        small().fit(Ordered(), epochs=1, verbose=0, callbacks=keep)
        assert asked[-2:] == [3, 4]
        assert asked[:-2] in ([], [0])  # the first one may be looked at for its shape

    def test_data_may_say_how_it_stands(self, tmp_path):
        class Walk(keras.utils.PyDataset):
            def __init__(self):
                super().__init__()
                self.seen = set()

            def __len__(self):
                return 5

            def __getitem__(self, index):
                self.seen.add(len(self.seen))
                return data(8)[0] * len(self.seen) / 9, data(8)[1]

            def on_epoch_end(self):
                self.seen.add(-1)

            def get_state(self):
                return sorted(self.seen)

            def set_state(self, state):
                self.seen = set(state)

        def fit(made, callbacks):
            return made.fit(Walk(), epochs=3, verbose=0, callbacks=callbacks)

        check(tmp_path, small, fit)

    def test_other_data_in_the_middle_of_an_epoch_is_refused(self, tmp_path):
        x, y = data()
        keep = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=2)
        with pytest.raises(KeyboardInterrupt):
            small().fit(x, y, batch_size=8, verbose=0, epochs=3, callbacks=[keep, Stop(3)])
        with pytest.raises(
            ValueError, match=r"batch_size 8, shuffle True, received .* batch_size 4"
        ):
            small().fit(x, y, batch_size=4, verbose=0, epochs=3, callbacks=[keep])
