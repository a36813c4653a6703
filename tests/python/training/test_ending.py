"""A pass over empty data logs nothing; the warning that the data ended names the remedy."""

import warnings

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case

RNG = np.random.default_rng(2)
X = RNG.normal(size=(12, 4, 2)).astype("float32")
Y = X.sum((1, 2))[:, None]


def batches(times=1):
    for _ in range(times):
        for at in range(0, 12, 4):
            yield X[at : at + 4], Y[at : at + 4]


def model():
    made = keras.Sequential([keras.Input((4, 2)), keras.layers.GRU(3), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"], weighted_metrics=["mse"])
    return made


class Nothing(keras.utils.PyDataset):
    def __len__(self):
        return 0

    def __getitem__(self, index):
        raise IndexError(index)


class Spent:
    """It can be iterated over again, and has nothing more to give then."""

    def __init__(self):
        self.batches = batches()

    def __iter__(self):
        return self.batches


def fitted(*data, hooks=(), **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model().fit(*data, epochs=4, verbose=0, callbacks=list(hooks), **options)
    return history, [str(each.message) for each in caught]


class TestValidation:
    @pytest.mark.parametrize("given", [batches, Spent])
    def test_epochs_after_the_end_have_no_values(self, given, tmp_path):
        pytest.importorskip("h5py")  # checkpoints are files
        stop = keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
        slow = keras.callbacks.ReduceLROnPlateau("val_loss", patience=1)
        best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
        history, said = fitted(X, Y, validation_data=given(), hooks=[stop, slow, best])
        names = ("val_loss", "val_mae", "val_mse")
        assert [len(history.history[name]) for name in names] == [1, 1, 1]
        assert stop.best == best.best == slow.best == history.history["val_loss"][0] > 0
        assert (stop.best_epoch, stop.wait, slow.wait) == (0, 0, 0)
        assert len(history.epoch) == 4
        told = [text for text in said if "`validation_data` yielded no batch this time" in text]
        assert len(told) == 1
        assert "`validation_steps`" in told[0]
        assert "can be iterated over again" in told[0] or given is Spent

    def test_the_best_model_is_not_overwritten_by_one_that_nobody_measured(self, tmp_path):
        pytest.importorskip("h5py")  # checkpoints are files
        path = tmp_path / "best.keras"
        best = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
        seen = []

        class Spy(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                seen.append(path.read_bytes())

        fitted(X, Y, validation_data=batches(), hooks=[best, Spy()])
        assert len(set(seen)) == 1

    def test_a_number_of_steps_beyond_the_generator(self):
        history, said = fitted(X, Y, validation_data=batches(), validation_steps=2)
        assert len(history.history["val_loss"]) == 2
        assert "`validation_steps` is 2, `validation_data` ended after 1 batches" in said[0]
        assert "`validation_data` yielded no batch this time" in said[1]

    def test_a_number_of_steps_beyond_arrays(self):
        history, said = fitted(X, Y, validation_data=(X, Y), validation_steps=9, batch_size=4)
        assert len(history.history["val_loss"]) == 4
        assert len(said) == 1
        assert "`validation_steps` is 9, the data has only 3 batches" in said[0]


class TestTraining:
    @pytest.mark.parametrize("given", [batches, Spent])
    def test_epochs_after_the_end_have_no_values(self, given):
        stop = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
        history, said = fitted(given(), hooks=[stop])
        assert {name: len(values) for name, values in history.history.items()} == {
            "loss": 1,
            "mae": 1,
            "mse": 1,
        }
        assert stop.best == history.history["loss"][0] > 0
        assert sum("`x` yielded no batch this time" in text for text in said) == 1

    def test_steps_beyond_the_generator(self):
        history, said = fitted(batches(), steps_per_epoch=2)
        assert len(history.history["loss"]) == 2
        assert "`steps_per_epoch` is 2, `x` ended after 1 batches" in said[0]
        assert "that never ends" in said[0]
        assert "`x` yielded no batch this time" in said[1]
        assert len(said) == 2

    def test_steps_that_end_with_the_data_need_no_word(self):
        history, said = fitted(
            batches(4), steps_per_epoch=3, validation_data=batches(4), validation_steps=3
        )
        assert (len(history.history["loss"]), len(history.history["val_mae"]), said) == (4, 4, [])

    def test_an_epoch_that_a_callback_ends_at_its_beginning_has_no_values(self):
        class Stop(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        history, said = fitted(X, Y, hooks=[Stop()])
        assert (len(history.history["loss"]), said) == (1, [])


EMPTY = {
    "generator": lambda: (each for each in ()),
    "ended": lambda: next(each for each in [batches()] if list(each)),
    "iterator": lambda: iter([]),
    "dataset": Nothing,
    "without samples": lambda: ((X[:0], Y[:0]) for _ in range(3)),
}


@each_case("built", [True, False])
@each_case("kind", EMPTY)
def test_an_empty_first_pass_raises(kind, built):
    made = model()
    if not built:
        made = keras.Sequential([keras.layers.GRU(3), keras.layers.Dense(1)])
        made.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`x` yields no batch"):
        made.fit(EMPTY[kind](), verbose=0)
    with pytest.raises(ValueError, match="`validation_data` yields no batch"):
        made.fit(X, Y, validation_data=EMPTY[kind](), verbose=0)
    with pytest.raises(ValueError, match="`x` yields no batch"):
        made.evaluate(EMPTY[kind](), verbose=0)
    if kind != "without samples":
        with pytest.raises(ValueError, match="`x` yields no batch"):
            made.predict(EMPTY[kind](), verbose=0)


def test_more_steps_than_data_to_evaluate_and_predict():
    made = model()
    expected = made.evaluate(X, Y, batch_size=4, verbose=0)
    for data in ((batches(),), (X, Y)):
        with pytest.warns(UserWarning, match="ran out of data.*`steps` is 5"):
            assert made.evaluate(*data, batch_size=4, steps=5, verbose=0) == expected
    with pytest.warns(UserWarning, match="ran out of data.*`steps` is 5, the data has only 3"):
        assert made.predict(X, batch_size=4, steps=5, verbose=0).shape == (12, 1)
