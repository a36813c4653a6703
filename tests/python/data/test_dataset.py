"""`ferrnn.data.Dataset`: the elements of each step, and what models do with them."""

import collections
import gc
import itertools
import threading
import time
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn.data import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from interrupting import check

RNG = np.random.default_rng(8)
X = RNG.normal(size=(7, 2)).astype("float32")
Y = np.arange(7) * 10


class Point(NamedTuple):
    x: object
    y: object


def plain(dataset):
    """Its elements as lists and numbers."""
    return [keras.tree.map_structure(np.ndarray.tolist, element) for element in dataset]


def window_starts(count, size, shift, stride, whole):
    """The numbers in each window, written down from the definition."""
    for start in range(0, count, shift):
        full = list(range(start, start + size * stride, stride))
        inside = [number for number in full if number < count]
        if inside == full or (inside and not whole):
            yield inside


class TestElements:
    @each_case(
        ("made", "expected", "count"),
        [
            (lambda: Dataset.range(5), [0, 1, 2, 3, 4], 5),
            (lambda: Dataset.range(1, 10, 3), [1, 4, 7], 3),
            (lambda: Dataset.range(5).take(3), [0, 1, 2], 3),
            (lambda: Dataset.range(5).take(-1), [0, 1, 2, 3, 4], 5),
            (lambda: Dataset.range(5).take(9), [0, 1, 2, 3, 4], 5),
            (lambda: Dataset.range(5).skip(3), [3, 4], 2),
            (lambda: Dataset.range(5).skip(-1), [], 0),
            (lambda: Dataset.range(5).skip(9), [], 0),
            (lambda: Dataset.range(3).repeat(2), [0, 1, 2, 0, 1, 2], 6),
            (lambda: Dataset.range(3).repeat(0), [], 0),
            (lambda: Dataset.range(0).repeat(), [], 0),
            (lambda: Dataset.range(3).repeat().take(4), [0, 1, 2, 0], 4),
            (lambda: Dataset.range(3).repeat().skip(4).take(2), [1, 2], 2),
            (lambda: Dataset.range(9).filter(lambda x: x % 4 == 0), [0, 4, 8], None),
            (lambda: Dataset.range(3).map(lambda x: [x, x * x]), [[0, 0], [1, 1], [2, 4]], 3),
            (lambda: Dataset.range(7, 9).enumerate(5), [(5, 7), (6, 8)], 2),
            (lambda: Dataset.range(2).concatenate(Dataset.range(2)), [0, 1, 0, 1], 4),
            (lambda: Dataset.range(5).batch(2), [[0, 1], [2, 3], [4]], 3),
            (lambda: Dataset.range(5).batch(2, drop_remainder=True), [[0, 1], [2, 3]], 2),
            (lambda: Dataset.range(5).batch(2).unbatch(), [0, 1, 2, 3, 4], None),
            (lambda: Dataset.range(6).batch(2).batch(2), [[[0, 1], [2, 3]], [[4, 5]]], 2),
            (lambda: Dataset.range(4).cache().repeat(2), [0, 1, 2, 3, 0, 1, 2, 3], 8),
            (lambda: Dataset.range(6).prefetch(2).batch(4), [[0, 1, 2, 3], [4, 5]], 2),
            (lambda: Dataset.from_tensors((X[0], 1)), [(X[0].tolist(), 1)], 1),
            (lambda: Dataset.from_tensor_slices([[1, 2], [3, 4]]), [[1, 2], [3, 4]], 2),
        ],
    )
    def test_are_those_of_the_definition_pass_by_pass(self, made, expected, count):
        dataset = made()
        assert [plain(dataset), plain(dataset)] == [expected, expected]
        assert dataset.cardinality() == (UNKNOWN_CARDINALITY if count is None else count)
        if count is None:
            with pytest.raises(TypeError, match="length is unknown"):
                len(dataset)
        else:
            assert len(dataset) == count
        assert dataset  # even one without elements

    def test_keep_their_structure(self):
        dataset = Dataset.from_tensor_slices(({"b": X, "a": Point(Y, Y + 1)}, [1.5] * 7))
        element, target = list(dataset)[3]
        assert (list(element), type(element["a"])) == (["b", "a"], Point)
        np.testing.assert_array_equal(element["b"], X[3])
        assert (element["a"].x, element["a"].y, float(target)) == (30, 31, 1.5)
        batch, _ = list(dataset.batch(4))[1]
        np.testing.assert_array_equal(batch["a"].y, Y[4:] + 1)
        np.testing.assert_array_equal(batch["b"].numpy(), X[4:])
        assert type(next(dataset.as_numpy_iterator())[0]["b"]) is np.ndarray

    def test_of_several_datasets_are_put_together(self):
        numbers, names = Dataset.range(3), Dataset.from_tensor_slices(["a", "b"])
        nested = Dataset.zip({"n": numbers, "p": (names, numbers.repeat())})
        assert plain(nested) == [{"n": 0, "p": ("a", 0)}, {"n": 1, "p": ("b", 1)}]
        assert len(nested) == 2
        assert Dataset.zip(numbers.repeat(), numbers.repeat()).cardinality() == INFINITE_CARDINALITY
        assert Dataset.zip(numbers, numbers.filter(bool)).cardinality() == UNKNOWN_CARDINALITY

    @each_case("whole", [True, False])
    @each_case("stride", [1, 3])
    @each_case("shift", [None, 1, 2, 7])
    @each_case("size", [1, 3])
    def test_of_windows(self, size, shift, stride, whole):
        for count in range(10):
            windows = Dataset.range(count).window(size, shift, stride, drop_remainder=whole)
            expected = list(window_starts(count, size, shift or size, stride, whole))
            assert [plain(window) for window in windows] == expected
            assert len(windows) == len(expected)
        pairs = Dataset.from_tensor_slices((X, Y)).window(size, shift, stride, whole)
        joined = pairs.flat_map(lambda x, y: Dataset.zip(x.batch(size), y.batch(size)))
        for (inputs, targets), rows in zip(
            joined, window_starts(7, size, shift or size, stride, whole), strict=True
        ):
            np.testing.assert_array_equal(inputs, X[rows])
            np.testing.assert_array_equal(targets, Y[rows])

    def test_of_a_generator_are_cast_and_checked(self):
        def pairs(count):
            for number in range(count):
                yield [number] * number, {"y": number}

        signature = (keras.KerasTensor((None,), "float32"), {"y": keras.KerasTensor((), "int8")})
        dataset = Dataset.from_generator(pairs, args=(3,), output_signature=signature)
        inputs, targets = list(dataset)[2]
        assert (inputs.dtype, inputs.tolist(), targets["y"].dtype) == ("float32", [2, 2], "int8")
        assert len(plain(dataset)) == 3
        by_types = Dataset.from_generator(pairs, ("int16", {"y": "float64"}), args=[2])
        assert [part.dtype for part in keras.tree.flatten(next(iter(by_types)))] == ["int16", "f8"]
        wrong = Dataset.from_generator(pairs, output_shapes=((1,), {"y": ()}), args=[3])
        with pytest.raises(TypeError, match=r"of the shape \(1,\), received the shape \(0,\)"):
            list(wrong)

    def test_cannot_be_written_to_where_others_get_them(self):
        kept = X.copy()
        for dataset in (Dataset.from_tensor_slices(kept), Dataset.range(3).cache()):
            with pytest.raises(ValueError, match="read-only"):
                next(iter(dataset))[...] = 9
        batch = next(iter(Dataset.from_tensor_slices(kept).batch(3)))
        batch[...] = 9
        np.testing.assert_array_equal(kept, X)


class TestShuffle:
    def test_gives_each_element_once_in_an_order_for_each_pass(self):
        for dataset in (
            Dataset.from_tensor_slices(np.arange(100)).shuffle(100, seed=3),
            Dataset.range(100).map(lambda x: x).shuffle(30, seed=3),
        ):
            first, second = plain(dataset), plain(dataset)
            assert sorted(first) == sorted(second) == list(range(100))
            assert first != second != list(range(100))

    def test_repeats_with_a_seed_and_without_reshuffling(self):
        def order(seed, reshuffles=None):
            made = Dataset.range(50).shuffle(20, seed, reshuffle_each_iteration=reshuffles)
            return [plain(made), plain(made)]

        assert order(3) == order(3) != order(4)
        once = order(3, reshuffles=False)
        assert once[0] == once[1] == order(3)[0]
        keras.utils.set_random_seed(5)
        unseeded = order(None)
        keras.utils.set_random_seed(5)
        assert unseeded == order(None)

    @pytest.mark.parametrize("source", [Dataset.range, lambda n: Dataset.range(n).map(np.copy)])
    def test_moves_elements_ahead_no_further_than_its_buffer(self, source):
        for at, number in enumerate(plain(source(3000).shuffle(8, seed=1))):
            assert number < at + 8
        at_once = Dataset.from_tensor_slices(np.arange(40)).shuffle(40, seed=2)
        one_by_one = Dataset.range(40).shuffle(40, seed=2).map(lambda x: x)
        assert plain(at_once.batch(7)) == plain(one_by_one.batch(7))

    def test_is_uniform_if_the_buffer_holds_all(self):
        firsts = [plain(Dataset.range(3).shuffle(3, seed=seed)) for seed in range(600)]
        counts = collections.Counter(map(tuple, firsts))
        assert len(counts) == 6
        assert min(counts.values()) > 60


class TestCache:
    def test_goes_to_its_source_once_and_only_whole_passes_count(self):
        asked = []
        dataset = Dataset.range(4).map(lambda x: asked.append(int(x)) or x).cache()
        assert plain(dataset.take(2)) == [0, 1]
        assert plain(dataset) == plain(dataset) == [0, 1, 2, 3]
        assert asked == [0, 1, 0, 1, 2, 3]


class TestPrefetch:
    def test_makes_elements_ahead_on_a_thread(self):
        made = []
        dataset = Dataset.range(9).map(lambda x: made.append(threading.current_thread()) or x)
        elements = iter(dataset.prefetch(3))
        assert next(elements) == 0
        deadline = time.monotonic() + 20
        while len(made) < 5 and time.monotonic() < deadline:  # one in use, three wait, one in hand
            time.sleep(0.001)
        assert len(made) == 5
        assert [int(element) for element in elements] == list(range(1, 9))
        assert threading.current_thread() not in made

    def test_hands_on_exceptions_in_their_place(self):
        def refuse(x):
            if x == 2:
                raise KeyError("two")
            return x

        elements = iter(Dataset.range(5).map(refuse).prefetch(4))
        assert [int(next(elements)), int(next(elements))] == [0, 1]
        with pytest.raises(KeyError, match="two"):
            next(elements)
        assert list(elements) == []

    def test_ends_its_thread_when_the_iterator_is_dropped(self):
        class Endless:
            """Something whose end can be waited for."""

        alive = Endless()
        gone = threading.Event()
        weakref.finalize(alive, gone.set)

        def forever(held):
            while True:
                yield held is None

        elements = iter(Dataset.from_generator(forever, args=[alive]).prefetch(2))
        del alive
        next(elements)
        before = threading.active_count()
        del elements
        gc.collect()
        deadline = time.monotonic() + 20
        while threading.active_count() >= before and time.monotonic() < deadline:
            time.sleep(0.001)
        assert threading.active_count() < before
        gc.collect()
        assert gone.wait(20)

    def test_starts_nothing_before_it_is_asked(self):
        before = threading.active_count()
        elements = iter(Dataset.range(3).prefetch(1))
        assert threading.active_count() == before
        assert [int(element) for element in itertools.islice(elements, 1)] == [0]


class TestRefused:
    @each_case(
        ("make", "error", "text"),
        [
            (lambda: Dataset.from_tensor_slices(3), ValueError, "equal lengths of the first axes"),
            (lambda: Dataset.from_tensor_slices((X, Y[:3])), ValueError, r"\(7, 2\), \(3,\)"),
            (lambda: Dataset.from_tensor_slices(()), ValueError, "equal lengths of the first axes"),
            (lambda: Dataset.range(3).batch(0), ValueError, "`batch_size` must be a positive"),
            (lambda: Dataset.range(3).shuffle(0), ValueError, "`buffer_size` must be a positive"),
            (lambda: Dataset.range(3).prefetch(0), ValueError, "`buffer_size` must be a positive"),
            (lambda: Dataset.range(3).window(2, shift=0), ValueError, "`shift` must be a positive"),
            (lambda: Dataset.range(3).cache("file"), ValueError, "elements are kept in memory"),
            (lambda: Dataset.zip((Dataset.range(3), X)), TypeError, "`datasets` must be datasets"),
            (lambda: Dataset.from_generator([1, 2]), TypeError, "`generator` must be a function"),
            (lambda: list(Dataset.range(3).flat_map(int)), TypeError, "must return a dataset"),
            (
                lambda: list(Dataset.range(1, 3).map(np.zeros).batch(2)),
                ValueError,
                r"element 0 has the shape \(1,\), element 1 \(2,\)",
            ),
            (lambda: len(Dataset.range(3).repeat()), TypeError, "length is infinite"),
        ],
    )
    def test_what_cannot_be(self, make, error, text):
        with pytest.raises(error, match=text):
            make()


def small():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(3), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


INPUTS = RNG.normal(size=(22, 4, 3)).astype("float32")
TARGETS = INPUTS.sum((1, 2))[:, None]


class TestModels:
    def test_train_as_on_arrays(self):
        keras.utils.set_random_seed(1)
        model, other = small(), small()
        other.set_weights(model.get_weights())
        pairs = Dataset.from_tensor_slices((INPUTS, TARGETS)).batch(8).prefetch(2)
        one = model.fit(pairs, epochs=2, validation_data=pairs, verbose=0).history
        two = other.fit(
            INPUTS, TARGETS, 8, 2, 0, validation_data=(INPUTS, TARGETS), shuffle=False
        ).history
        for name in ("loss", "mae", "val_mae"):
            np.testing.assert_allclose(one[name], two[name], rtol=1e-6)
        np.testing.assert_allclose(
            model.evaluate(pairs, verbose=0), other.evaluate(INPUTS, TARGETS, 8, verbose=0), 1e-6
        )
        inputs = pairs.map(lambda x, y: x)
        np.testing.assert_array_equal(
            model.predict(inputs, verbose=0), model.predict(INPUTS, batch_size=8, verbose=0)
        )

    def test_adapt_to_it(self):
        one, two = keras.layers.Normalization(), keras.layers.Normalization()
        one.adapt(Dataset.from_tensor_slices(INPUTS).batch(5))
        two.adapt(INPUTS)
        np.testing.assert_allclose(one.mean, two.mean, rtol=1e-5)
        np.testing.assert_allclose(one.variance, two.variance, rtol=1e-5)

    def test_need_a_number_of_steps_for_one_without_end(self):
        endless = Dataset.from_tensor_slices((INPUTS, TARGETS)).batch(8).repeat()
        model = small()
        with pytest.raises(ValueError, match=r"infinitely repeating dataset: .*`steps_per_epoch`"):
            model.fit(endless, verbose=0)
        with pytest.raises(ValueError, match="infinitely repeating dataset: specify `steps`"):
            model.evaluate(endless, verbose=0)
        with pytest.raises(ValueError, match="infinitely repeating dataset: specify `steps`"):
            model.predict(endless.map(lambda x, y: x), verbose=0)
        history = model.fit(endless, steps_per_epoch=5, epochs=2, verbose=0).history
        assert len(history["loss"]) == 2
        assert model.predict(endless.map(lambda x, y: x), steps=2, verbose=0).shape == (16, 1)

    @pytest.mark.parametrize("ahead", [False, True])
    def test_go_on_with_it_after_an_interruption(self, tmp_path, ahead):
        def fit(model, callbacks):
            noise = np.random.default_rng(3)
            data = Dataset.from_tensor_slices((INPUTS, TARGETS)).shuffle(22)
            data = data.map(lambda x, y: (x + noise.normal(scale=0.1, size=x.shape), y))
            data = data.shuffle(10).batch(4)
            return model.fit(
                data.prefetch(3) if ahead else data, epochs=3, verbose=0, callbacks=callbacks
            )

        check(tmp_path, small, fit)
