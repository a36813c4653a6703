"""Hashing: the buckets of TensorFlow, and what is made of them."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn._src.layers.fingerprints import farm_hash, sip_hash
from ferrnn.layers import Hashing, IntegerLookup, StringLookup

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hashes.json").read_text())


def test_texts_of_every_length_have_tensorflows_fingerprints():
    source = random.Random(17)
    key = tuple(GOLDEN["key"])
    for length, (farm, sip) in enumerate(zip(GOLDEN["farm"], GOLDEN["sip"], strict=True)):
        data = source.randbytes(length)
        assert (farm_hash(data) % 2**62, sip_hash(key, data) % 2**62) == (farm, sip)


@pytest.mark.parametrize("kind", [np.array, list, lambda words: np.array(words, object)])
def test_words_and_numbers_have_tensorflows_buckets(kind):
    words = GOLDEN["words"]
    plain, salted = (Hashing(11, salt=salt)(kind(list(words))) for salt in (None, 3))
    assert [list(pair) for pair in zip(plain.tolist(), salted.tolist(), strict=True)] == [
        *words.values()
    ]
    numbers = Hashing(7)(kind(list(range(-50, 50))))
    assert numbers.tolist() == GOLDEN["numbers"]
    assert Hashing(7)(np.arange(-50, 50) + 0.0).tolist() == GOLDEN["numbers"]


def test_a_masked_value_has_a_bucket_for_itself():
    words = np.array([["a", ""], ["näher", "a"]])
    inside = Hashing(10)(words)
    masked = Hashing(11, mask_value="")(words)
    np.testing.assert_array_equal(masked, np.where(words == "", 0, inside + 1))
    assert Hashing(11, mask_value=7)(np.array([7, 8])).tolist()[0] == 0
    assert Hashing(1, mask_value="")(words).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_vectors_of_buckets(mode):
    words = np.array([["a", "b", "a"], ["c", "d", "e"]])
    layer = Hashing(5, output_mode=mode, dtype="float64")
    outputs = layer(words)
    ones = np.eye(5)[Hashing(5)(words)]
    expected = {"one_hot": ones, "multi_hot": ones.max(1), "count": ones.sum(1)}[mode]
    np.testing.assert_array_equal(outputs, expected)
    assert outputs.dtype == np.float64
    assert layer.compute_output_shape((None, 3)) == (None, *expected.shape[1:])


def test_a_model_with_it_is_saved_and_read(tmp_path):
    pytest.importorskip("h5py")
    inputs = keras.Input((1,), dtype="string")
    ids = Hashing(20, salt=(1, 2), mask_value="")(inputs)
    assert ids.dtype == "int64"
    outputs = keras.layers.Embedding(20, 3)(ids)
    model = keras.Model(inputs, keras.layers.Flatten()(outputs))
    words = np.array([["a"], [""], ["ü"]], object)
    model.save(tmp_path / "m.keras")
    read = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(read.predict(words, verbose=0), model.predict(words, verbose=0))
    config = Hashing(4, dtype="int32").get_config()
    config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "int32"}}
    assert Hashing.from_config(config)(["a"]).dtype == np.int32


@each_case(
    ("make", "error", "text"),
    [
        (lambda: Hashing(0), ValueError, "`num_bins` for `Hashing` cannot be"),
        (lambda: Hashing(None), ValueError, "`num_bins` for `Hashing` cannot be"),
        (lambda: Hashing(3, dtype="float32"), ValueError, "should be an integer type"),
        (
            lambda: Hashing(3, output_mode="tf_idf"),
            ValueError,
            "Invalid value for argument",
        ),
        (lambda: Hashing(3, salt=[1]), ValueError, "tuple of size 2 integers, or a single"),
        (lambda: Hashing(3, salt="ab"), ValueError, "tuple of size 2 integers, or a single"),
        (lambda: Hashing(3, output_mode="count", sparse=True), ValueError, "sparse=True"),
        (lambda: Hashing(3)(np.array([1j])), TypeError, "must hold strings or integers"),
        (lambda: IntegerLookup(num_oov_indices=2, salt=3), ValueError, "`salt` can only be used"),
        (lambda: IntegerLookup(oov_method="sip"), ValueError, "'floormod' or 'farmhash'"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("salt", [None, 3])
def test_unknown_tokens_of_a_vocabulary_go_to_the_buckets_of_their_hashes(salt):
    words = [*GOLDEN["words"]][1:]
    lookup = StringLookup(vocabulary=["b", "a"], num_oov_indices=11, mask_token="", salt=salt)
    expected = [GOLDEN["words"][word][int(salt is not None)] + 1 for word in words]
    expected[words.index("a")] = 13
    assert lookup([*words, "", "b"]).tolist() == [*expected, 0, 12]
    again = StringLookup.from_config(lookup.get_config())
    assert again(words).tolist() == expected
    numbers = IntegerLookup(
        vocabulary=[1, 7], num_oov_indices=7, oov_method="farmhash", output_mode="int"
    )
    assert numbers([7, -5]).tolist() == [8, GOLDEN["numbers"][45]]
