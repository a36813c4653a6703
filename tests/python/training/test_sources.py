"""What `fit`, `evaluate` and `predict` take: frames, generators, iterables, `PyDataset`."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training.samples import as_samples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model(rate=0.1):
    made = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
    made.compile(keras.optimizers.SGD(rate), loss="mse")
    return made


def batches(size=4):
    for start in range(0, 12, size):
        yield X[start : start + size], Y[start : start + size]


def endless():
    while True:
        yield from batches()


class Again:
    """Batches that can be iterated over again and again; nobody knows how many."""

    def __iter__(self):
        return batches()


class Dataset(keras.utils.PyDataset):
    ended = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]

    def on_epoch_end(self):
        self.ended += 1


def trained(*data, epochs=3, **options):
    made = model()
    history = made.fit(*data, epochs=epochs, verbose=0, shuffle=False, **options)
    return history.history["loss"], made.get_weights()


class TestBatches:
    @pytest.mark.parametrize(
        ("given", "steps"),
        [
            (Dataset, None),
            (Again, None),
            (endless, 3),
            (lambda: Dataset2(list(batches())), None),
        ],
    )
    def test_train_as_arrays_do(self, given, steps):
        expected_losses, expected = trained(X, Y, batch_size=4)
        losses, weights = trained(given(), steps_per_epoch=steps)
        assert losses == pytest.approx(expected_losses)
        np.testing.assert_allclose(weights[0], expected[0], rtol=1e-6)

    def test_a_generator_is_used_up(self):
        made = model()
        with pytest.warns(UserWarning, match="ran out of data"):
            history = made.fit(batches(), epochs=2, verbose=0)
        assert made.optimizer.iterations.numpy() == 3
        assert len(history.epoch) == 2

    def test_a_generator_goes_on_where_the_epoch_ended(self):
        seen = []

        class Spy(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append(batch)

        made = model()
        made.fit(endless(), steps_per_epoch=2, epochs=3, verbose=0, callbacks=[Spy()])
        assert seen == [0, 1] * 3

    def test_a_dataset_hears_of_epochs(self):
        data = Dataset()
        model().fit(data, epochs=4, verbose=0)
        assert data.ended == 4

    def test_evaluate_and_predict(self):
        made = model()
        made.fit(X, Y, verbose=0)
        loss, outputs = made.evaluate(X, Y, verbose=0), made.predict(X, verbose=0)
        for given in (Dataset, Again, batches):
            assert made.evaluate(given(), verbose=0) == pytest.approx(loss)
            np.testing.assert_allclose(made.predict(given(), verbose=0), outputs, rtol=1e-6)
        assert made.predict(endless(), steps=2, verbose=0).shape == (8, 1)

    def test_validate(self):
        for given, steps in ((Dataset(), None), (endless(), 3), (Again(), None)):
            made = model()
            history = made.fit(
                X, Y, validation_data=given, validation_steps=steps, epochs=2, verbose=0
            ).history
            assert history["val_loss"][-1] == pytest.approx(made.evaluate(X, Y, verbose=0))

    def test_weights_in_batches(self):
        weight = np.linspace(0, 2, 12)
        given = [(X[:4], Y[:4], weight[:4]), (X[4:], Y[4:], weight[4:])]
        expected = model().evaluate(X, Y, sample_weight=weight, verbose=0)
        made = model()
        assert made.evaluate(Dataset2(given), verbose=0) == pytest.approx(expected)

    def test_class_weights_of_a_dataset(self):
        labels = np.array([0.0, 1.0, 1.0, 0.0])
        made = model(rate=0.0)
        logs = made.fit(Dataset2([(X[:4], labels)]), class_weight={1: 3.0}, verbose=0).history
        assert logs["loss"][0] == pytest.approx(np.mean([0, 3, 3, 0]))


class Dataset2(keras.utils.PyDataset):
    def __init__(self, given):
        super().__init__()
        self.given = given

    def __len__(self):
        return len(self.given)

    def __getitem__(self, index):
        return self.given[index]


class TestFrames:
    def test_of_pandas(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X, columns=["a", "b", "c"])
        frame["b"] = frame["b"].round().astype(int)
        target = pandas.Series(Y[:, 0], name="y")
        losses, _ = trained(frame.to_numpy(), Y, batch_size=4)
        assert trained(frame, target, batch_size=4)[0] == pytest.approx(losses)
        assert as_samples(target, "y").shape == (12, 1)
        weights = pandas.Series(np.ones(12))
        assert trained(frame, target, sample_weight=weights, batch_size=4)[0] == pytest.approx(
            losses
        )
        frame["c"] = frame["c"] > 0
        assert as_samples(frame, "x").dtype == np.float64
        with pytest.raises(TypeError, match="must be a dataframe with numbers in all columns"):
            as_samples(frame.assign(name="text"), "x")

    def test_of_polars(self):
        polars = pytest.importorskip("polars")
        frame = polars.DataFrame(X, schema=["a", "b", "c"])
        target = polars.Series("y", Y[:, 0])
        losses, _ = trained(X, Y, batch_size=4)
        assert trained(frame, target, batch_size=4)[0] == pytest.approx(losses)

    @pytest.mark.parametrize("package", ["pandas.DataFrame", "polars.DataFrame", "pyarrow.table"])
    def test_columns_of_several_types_become_numpys_and_change_no_result(self, package):
        package, made = package.split(".")
        made = getattr(pytest.importorskip(package), made)
        a, b = X[:, 0], X[:, 1]
        assert as_samples(made({"a": a, "b": b}), "x").dtype == np.float32
        assert as_samples(made({"a": a, "b": b.round().astype("i2")}), "x").dtype == np.float32
        mixed = made({"a": a, "b": b.astype(np.float64)})
        assert as_samples(mixed, "x").dtype == np.float64
        losses, weights = trained(X[:, :2], Y, batch_size=4)
        mixed_losses, mixed_weights = trained(mixed, Y, batch_size=4)
        assert mixed_losses == losses
        for one, other in zip(mixed_weights, weights, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_columns_by_the_names_of_inputs(self):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X, columns=["a", "b", "c"])
        a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
        made = keras.Model([a, b], a - b)
        outputs = made.predict(dict(frame), verbose=0)
        np.testing.assert_allclose(outputs[:, 0], X[:, 0] - X[:, 1])


class Foreign:
    """A tensor of another library: it has a shape, and NumPy can read it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(dtype or self.dtype)


class Loader:
    """Batches as PyTorch's loaders give them: lists of tensors."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return 3

    def __iter__(self):
        for at in range(0, 12, 4):
            yield [Foreign(array[at : at + 4]) for array in self.arrays]


class TestLoaders:
    def test_lists_of_tensors_are_inputs_targets_and_weights(self):
        weights = RNG.uniform(1, 2, size=12).astype("float32")
        for extra in ((), (weights,)):
            one, two = model(), model()
            found = one.fit(Loader(X, Y, *extra), epochs=2, verbose=0).history
            weighed = {"sample_weight": weights} if extra else {}
            expected = two.fit(X, Y, 4, 2, 0, shuffle=False, **weighed).history
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
            np.testing.assert_allclose(
                one.evaluate(Loader(X, Y, *extra), verbose=0),
                one.evaluate(X, Y, 4, 0, *extra),
                rtol=1e-6,
            )
        np.testing.assert_array_equal(
            one.predict(Loader(X), verbose=0), one.predict(X, batch_size=4, verbose=0)
        )

    def test_adapt(self):
        layer, other = keras.layers.Normalization(), keras.layers.Normalization()
        layer.adapt(Loader(X, Y))
        other.adapt(X)
        np.testing.assert_allclose(layer.mean, other.mean, rtol=1e-5, atol=1e-7)

    def test_a_list_of_rows_is_no_pair(self):
        with pytest.raises(ValueError, match="Unrecognized data type: x=list"):
            model().predict(iter([X[:2].tolist()]), verbose=0)


class TestErrors:
    def test_what_belongs_into_batches(self):
        for argument, value in (("y", Y), ("sample_weight", np.ones(12))):
            with pytest.raises(ValueError, match=f"`{argument}` should not be passed"):
                model().fit(Dataset(), verbose=0, **{argument: value})
        with pytest.raises(ValueError, match="`class_weight` is not supported for Python gen"):
            model().fit(batches(), class_weight={0: 1.0}, verbose=0)
        with pytest.raises(ValueError, match="`validation_split` is only supported for"):
            model().fit(Dataset(), validation_split=0.5, verbose=0)

    def test_batches_that_are_none(self):
        with pytest.raises(ValueError, match="yields no batch"):
            model().fit((each for each in []), verbose=0)
        with pytest.raises(ValueError, match="received a tuple of 4 parts"):
            model().fit(Dataset2([(X, Y, None, None)]), verbose=0)
        with pytest.raises(ValueError, match="ambiguous"):
            model().fit(Dataset2([(X, Y[1:])]), verbose=0)
        with pytest.raises(NotImplementedError, match="must define `__getitem__`"):
            model().predict(Lengthy(), verbose=0)


class Lengthy(keras.utils.PyDataset):
    def __len__(self):
        return 2
