"""Datasets of TensorFlow, PyTorch and Hugging Face in `fit`, where they are installed."""

import numpy as np
import pytest

import ferrnn as keras

RNG = np.random.default_rng(6)
X = RNG.normal(size=(13, 5, 3)).astype("float32")
Y = X.sum(axis=(1, 2))[:, None]
WEIGHTS = RNG.uniform(0.5, 2.0, 13).astype("float32")
BATCH = 4


def model():
    made = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.1), "mse", weighted_metrics=["mae"])
    return made


def check(batches, weights=WEIGHTS):
    """Trains and evaluates with batches, and with the arrays that they hold."""
    ours, theirs = model(), model()
    theirs.set_weights(ours.get_weights())
    options = {"batch_size": BATCH, "verbose": 0}
    expected = theirs.fit(X, Y, sample_weight=weights, shuffle=False, epochs=2, **options)
    found = ours.fit(batches, epochs=2, validation_data=batches, verbose=0)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5)
    evaluated = theirs.evaluate(X, Y, sample_weight=weights, **options)
    np.testing.assert_allclose(ours.evaluate(batches, verbose=0), evaluated, rtol=1e-5)
    np.testing.assert_allclose(
        ours.predict(batches, verbose=0), theirs.predict(X, verbose=0), rtol=1e-4, atol=1e-6
    )


def by_name():
    """A model whose inputs have names, and what it is given."""
    steps, table = keras.Input((5, 3), name="steps"), keras.Input((2,), name="table")
    joined = keras.layers.concatenate([keras.layers.GRU(4)(steps), table])
    made = keras.Model([steps, table], keras.layers.Dense(1, name="out")(joined))
    made.compile("sgd", {"out": "mse"})
    return made, {"steps": X, "table": X[:, 0, :2]}


class TestTensorFlow:
    tf = property(lambda _: pytest.importorskip("tensorflow"))

    def test_batches_are_those_of_arrays(self):
        slices = self.tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
        check(slices.batch(BATCH).prefetch(self.tf.data.AUTOTUNE))
        check(slices.batch(BATCH).filter(lambda *_: True))  # of unknown length

    def test_a_dataset_without_end(self):
        endless = self.tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH).repeat()
        history = model().fit(endless, steps_per_epoch=3, epochs=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()

    def test_inputs_by_name(self):
        made, inputs = by_name()
        batches = self.tf.data.Dataset.from_tensor_slices((inputs, {"out": Y})).batch(BATCH)
        made.fit(batches, validation_data=batches, verbose=0)
        np.testing.assert_allclose(
            made.predict(batches, verbose=0), made.predict(inputs, verbose=0), rtol=1e-4, atol=1e-6
        )

    def test_tensors_and_what_adapts(self):
        normalization = keras.layers.Normalization()
        normalization.adapt(self.tf.data.Dataset.from_tensor_slices(X).batch(BATCH))
        np.testing.assert_allclose(
            np.ravel(normalization.mean), X.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6
        )
        made = model()
        made.fit(self.tf.constant(X), self.tf.constant(Y), verbose=0)
        np.testing.assert_array_equal(
            made.predict(self.tf.constant(X), verbose=0), made.predict(X, verbose=0)
        )


class TestPyTorch:
    torch = property(lambda _: pytest.importorskip("torch"))
    loader = property(lambda self: pytest.importorskip("torch.utils.data").DataLoader)

    def tensors(self, *arrays):
        data = pytest.importorskip("torch.utils.data")
        return data.TensorDataset(*(self.torch.tensor(array) for array in arrays))

    def test_batches_are_those_of_arrays(self):
        check(self.loader(self.tensors(X, Y, WEIGHTS), batch_size=BATCH))
        plain = self.tensors(X, Y)
        check(self.loader(plain, batch_size=BATCH), None)
        data = [plain[number] for number in range(len(X))]
        check(self.loader(data, batch_size=BATCH, num_workers=1), None)

    def test_inputs_by_name(self):
        made, inputs = by_name()
        names = list(inputs)
        samples = [({name: inputs[name][at] for name in names}, Y[at]) for at in range(len(X))]
        batches = self.loader(samples, batch_size=BATCH)
        made.fit(batches, verbose=0)
        np.testing.assert_allclose(
            made.predict(batches, verbose=0), made.predict(inputs, verbose=0), rtol=1e-4, atol=1e-6
        )

    def test_a_dataset_is_split(self):
        left, right = keras.utils.split_dataset(self.tensors(X, Y), left_size=9)
        model().fit(left.batch(BATCH), validation_data=right.batch(BATCH), verbose=0)
        np.testing.assert_array_equal(np.stack([x for x, _ in right]), X[9:])

    def test_tensors_are_arrays(self):
        made = model()
        made.fit(self.torch.tensor(X), self.torch.tensor(Y), verbose=0)
        np.testing.assert_array_equal(
            made.predict(self.torch.tensor(X), verbose=0), made.predict(X, verbose=0)
        )


class TestHuggingFace:
    def test_columns_by_name(self):
        datasets = pytest.importorskip("datasets.arrow_dataset")
        made, inputs = by_name()
        columns = {**{name: array.tolist() for name, array in inputs.items()}, "out": Y.tolist()}
        rows = datasets.Dataset.from_dict(columns).with_format("numpy")

        class Batches:
            def __iter__(self):
                for batch in rows.iter(batch_size=BATCH):
                    yield {name: batch[name] for name in inputs}, {"out": batch["out"]}

        made.fit(Batches(), validation_data=Batches(), verbose=0)
        expected = made.predict(inputs, verbose=0)
        for given in (Batches(), rows.batch(BATCH), {name: rows[name] for name in inputs}):
            np.testing.assert_allclose(
                made.predict(given, verbose=0), expected, rtol=1e-4, atol=1e-6
            )

    def test_columns_are_arrays(self):
        datasets = pytest.importorskip("datasets.arrow_dataset")
        texts = {"text": ["one two", "two three", "four"], "label": [0, 1, 1]}
        check_columns(datasets.Dataset.from_dict(texts))

    def test_columns_are_arrays_where_a_stand_in_is_one(self):
        class Column:
            """As that of Hugging Face: neither an array nor a list."""

            def __init__(self, values):
                self.values = values

            def __len__(self):
                return len(self.values)

            def __iter__(self):
                return iter(self.values)

            def __getitem__(self, key):
                return self.values[key]

        Column.__module__ = "datasets.arrow_dataset"
        check_columns(
            {"text": Column(["one two", "two three", "four"]), "label": Column([0, 1, 1])}
        )


def check_columns(rows):
    """Trains a model of texts with columns."""
    vectorized = keras.layers.TextVectorization(output_sequence_length=3)
    vectorized.adapt(rows["text"])
    assert sorted(vectorized.get_vocabulary()[2:]) == ["four", "one", "three", "two"]
    stack = [vectorized, keras.layers.Embedding(9, 3), keras.layers.GRU(2), keras.layers.Dense(1)]
    made = keras.Sequential(stack)
    made.compile("sgd", "mse")
    history = made.fit(rows["text"], rows["label"], sample_weight=rows["label"], verbose=0).history
    expected = made.predict(np.array(["one two", "two three", "four"], object), verbose=0)
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_array_equal(made.predict(rows["text"], verbose=0), expected)
    lookup = keras.layers.StringLookup()
    lookup.adapt(rows["text"])
    assert len(lookup.get_vocabulary()) == 4
    normalization = keras.layers.Normalization(axis=None)
    normalization.adapt(rows["label"])
    assert np.ravel(normalization.mean)[0] == pytest.approx(2 / 3)
