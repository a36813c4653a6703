"""Texts and tokens: what is learnt and looked up, functions of users, files, what is refused."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers
from ferrnn.layers import IntegerLookup, StringLookup, TextVectorization

TEXTS = ["The cat sat on the mat.", "A dog, a cat!", "the end"]


def shouting(texts):
    assert isinstance(texts, np.ndarray)
    assert texts.dtype.kind == "U"
    return np.char.upper(texts)


def by_comma(texts):
    return [text.split(",") for text in texts.tolist()]


def reader(**options):
    read = TextVectorization(output_sequence_length=6, **options)
    read.adapt(TEXTS)
    model = ferrnn.Sequential(
        [
            ferrnn.Input((1,), dtype="string"),
            read,
            layers.Embedding(read.vocabulary_size(), 4, mask_zero=True),
            layers.LSTM(3),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def test_batches_teach_the_same_vocabulary_as_all_texts_at_once():
    whole = TextVectorization(output_mode="tf_idf")
    whole.adapt(np.array(TEXTS))
    for data in (iter([TEXTS[:2], TEXTS[2:]]), (np.array([[text]]) for text in TEXTS)):
        parts = TextVectorization(output_mode="tf_idf")
        parts.adapt(data)
        assert parts.get_vocabulary() == whole.get_vocabulary()
        np.testing.assert_array_equal(parts(TEXTS), whole(TEXTS))
    first = TextVectorization()
    first.adapt(iter([TEXTS[:1], TEXTS[1:]]), steps=1)
    assert first.get_vocabulary(include_special_tokens=False) == ["the", "sat", "on", "mat", "cat"]


@pytest.mark.parametrize(
    "inputs",
    [TEXTS, np.array(TEXTS), np.array(TEXTS, object), np.array([t.encode() for t in TEXTS])],
)
def test_lists_arrays_objects_and_bytes_are_texts_alike(inputs):
    layer = TextVectorization()
    layer.adapt(inputs)
    words = np.array(layer.get_vocabulary())
    outputs = np.asarray(layer(inputs))
    assert words[outputs[0]].tolist() == ["the", "cat", "sat", "on", "the", "mat"]
    assert words[outputs[1]].tolist() == ["a", "dog", "a", "cat", "", ""]


def test_functions_of_users_standardize_and_split():
    layer = TextVectorization(standardize=shouting, split=by_comma)
    layer.adapt(["a,b", "b"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B", "A"]
    assert layer(["b,a,c"]).tolist() == [[2, 3, 1]]
    config = json.loads(json.dumps(layer.get_config()))
    known = {"shouting": shouting, "by_comma": by_comma}
    again = TextVectorization.from_config(config, custom_objects=known)
    again.set_vocabulary(layer.get_vocabulary())
    assert again(["b,a,c"]).tolist() == [[2, 3, 1]]
    with pytest.raises(ValueError, match="the function 'shouting' is not known"):
        TextVectorization.from_config(config)


def test_a_model_that_reads_texts_trains_predicts_and_goes_into_a_file(tmp_path):
    pytest.importorskip("h5py")
    model = reader()
    targets = np.ones((3, 1), "float32")
    before = model.evaluate(np.array(TEXTS), targets, verbose=0)
    model.fit(np.array(TEXTS)[:, None], targets, epochs=20, verbose=0)
    assert model.evaluate(TEXTS, targets, verbose=0) < before
    model.save(tmp_path / "reader.keras")
    again = ferrnn.models.load_model(tmp_path / "reader.keras")
    expected = model.predict(TEXTS, verbose=0)
    np.testing.assert_array_equal(again.predict(np.array(TEXTS)[:, None], verbose=0), expected)
    copied = pickle.loads(pickle.dumps(model.layers[0]))
    assert copied(TEXTS).tolist() == model.layers[0](TEXTS).tolist()


def test_datasets_of_texts_and_a_preprocessing_call_give_the_same():
    model = reader()
    read = model.layers[0]
    ids = np.asarray(read(TEXTS))
    rest = ferrnn.Sequential(model.layers[1:])
    np.testing.assert_array_equal(rest.predict(ids, verbose=0), model.predict(TEXTS, verbose=0))
    batches = ((np.array(TEXTS[:2])[:, None], np.ones((2, 1))) for _ in range(2))
    model.fit(batches, epochs=1, verbose=0)


def test_numbers_are_no_texts_and_texts_no_numbers():
    with pytest.raises(TypeError, match=r"the input .* must hold strings, received the dtype"):
        reader().predict(np.zeros((2, 1)), verbose=0)
    model = ferrnn.Sequential([ferrnn.Input((1,)), layers.Dense(1)])
    with pytest.raises(TypeError, match="must hold real numbers"):
        model.predict(np.array([["a"]]), verbose=0)
    with pytest.raises(TypeError, match="`y` must hold real numbers"):
        reader().fit(np.array(TEXTS), np.array(TEXTS))
    with pytest.raises(TypeError, match="must hold strings"):
        TextVectorization()(np.zeros(2))
    with pytest.raises(TypeError, match="must hold integers"):
        StringLookup(vocabulary=["a"], invert=True)(np.array([0.5]))


def test_vocabularies_come_from_files_of_a_token_a_line(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("the\ncat\nécole\n", encoding="utf-8")
    assert TextVectorization(vocabulary=str(path))(["the école"]).tolist() == [[2, 4]]
    assert StringLookup(vocabulary=str(path)).get_vocabulary() == ["[UNK]", "the", "cat", "école"]
    with pytest.raises(ValueError, match="does not exist"):
        StringLookup(vocabulary=str(tmp_path / "none.txt"))


def test_unknown_numbers_go_to_the_place_of_their_remainder():
    lookup = IntegerLookup(vocabulary=[10, 20], num_oov_indices=3, mask_token=0)
    assert lookup([10, 0, 7, 8, 9, -1]).tolist() == [4, 0, 2, 3, 1, 3]
    assert lookup.get_vocabulary() == [0, -1, -1, -1, 10, 20]
    with pytest.raises(ValueError, match=r"found OOV values \[7\]"):
        IntegerLookup(vocabulary=[10], num_oov_indices=0)([10, 7])


@each_case(
    ("kind", "options", "told"),
    [
        (TextVectorization, {"standardize": "upper"}, "Unknown value for `standardize`"),
        (TextVectorization, {"split": "words"}, "Unknown value for `split`"),
        (TextVectorization, {"output_mode": "bits"}, "Unknown value for `output_mode`"),
        (TextVectorization, {"ngrams": "2"}, "`ngrams` must be None, an integer"),
        (TextVectorization, {"output_sequence_length": 2.0}, "`output_sequence_length` must"),
        (
            TextVectorization,
            {"output_mode": "count", "output_sequence_length": 2},
            "`output_sequence_length` must",
        ),
        (TextVectorization, {"ragged": True}, "only be used with the TensorFlow backend"),
        (TextVectorization, {"sparse": True}, "only be used with the TensorFlow backend"),
        (StringLookup, {"max_tokens": 1}, "`max_tokens` must be greater than 1"),
        (StringLookup, {"pad_to_max_tokens": True}, "must set `max_tokens`"),
        (StringLookup, {"num_oov_indices": -1}, "must be greater than or equal to 0"),
        (StringLookup, {"invert": True, "output_mode": "count"}, "must be `'int'` when `invert`"),
        (StringLookup, {"idf_weights": [1.0]}, "`idf_weights` should only be set"),
        (StringLookup, {"vocabulary": ["a"], "output_mode": "tf_idf"}, "must also be provided"),
        (StringLookup, {"vocabulary": []}, "Cannot set an empty vocabulary"),
        (StringLookup, {"vocabulary": ["a", "b", "a"]}, r"repeated terms are: \['a'\]"),
        (StringLookup, {"vocabulary": ["a", "m"], "mask_token": "m"}, "reserved mask token 'm'"),
        (StringLookup, {"vocabulary": ["a", "[UNK]"], "invert": True}, "reserved OOV token"),
        (StringLookup, {"vocabulary": ["a", "b"], "max_tokens": 2}, "larger than the maximum"),
        (
            StringLookup,
            {"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": [1.0, 2.0]},
            "must be the same length as vocabulary",
        ),
        (IntegerLookup, {"vocabulary_dtype": "int32"}, "Only `vocabulary_dtype='int64'`"),
        (layers.CategoryEncoding, {}, "num_tokens must be set"),
        (layers.CategoryEncoding, {"num_tokens": 0}, "`num_tokens` must be >= 1"),
        (
            layers.CategoryEncoding,
            {"num_tokens": 2, "output_mode": "int"},
            "Unknown arg for output_mode: int",
        ),
        (layers.Discretization, {}, "either `num_bins` or `bin_boundaries`"),
        (layers.Discretization, {"num_bins": 3, "bin_boundaries": [0.5]}, "Both `num_bins` and"),
        (layers.Discretization, {"num_bins": -1}, "greater than or equal to 0"),
    ],
)
def test_wrong_arguments_are_refused(kind, options, told):
    with pytest.raises(ValueError, match=told):
        kind(**options)


def test_what_is_fixed_or_missing_is_said():
    with pytest.raises(ValueError, match="Cannot adapt layer"):
        StringLookup(vocabulary=["a"]).adapt(["b"])
    with pytest.raises(RuntimeError, match="you must set the layer's vocabulary before"):
        TextVectorization(output_mode="count")(["a"])
    counted = TextVectorization(output_mode="count")
    counted.adapt(["a b"])
    with pytest.raises(RuntimeError, match="Old vocab size is 3, new vocab size is 2"):
        counted.adapt(["a"])
    with pytest.raises(ValueError, match="the last shape dimension must be 1"):
        TextVectorization(vocabulary=["a"])([["a", "b"]])
    with pytest.raises(ValueError, match="ids from 0 to num_tokens - 1 = 2"):
        layers.CategoryEncoding(3)([3])
    with pytest.raises(ValueError, match="`count_weights` is not used"):
        layers.CategoryEncoding(3)([1], count_weights=[1.0])
    with pytest.raises(ValueError, match=r"must have the shape \(2,\) of the inputs"):
        layers.CategoryEncoding(3, "count")(np.array([1, 2]), count_weights=np.ones(3))
    with pytest.raises(ValueError, match="before you can start using"):
        layers.Discretization(num_bins=2)(np.ones(2))
    with pytest.raises(ValueError, match="use `num_bins` instead"):
        layers.Discretization([0.0]).adapt(np.ones(2))


def changed(source, **contents):
    """The archive with other contents of what ends in these names."""
    made = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for ending, other in contents.items():
                content = other(content) if name.endswith(ending) else content
            new.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("ending", "other", "told"),
    [
        ("txt", lambda content: b"\n[UNK]\na\na", "at least one repeated term"),
        ("txt", lambda content: b"\xff\xfe", "must be UTF-8, but is not at byte 0"),
        (
            "json",
            lambda content: content.replace(b'"vocabulary": null', b'"vocabulary": "/etc/passwd"'),
            "files outside the model are not read",
        ),
    ],
)
def test_files_that_lie_are_refused(tmp_path, ending, other, told):
    pytest.importorskip("h5py")
    reader().save(tmp_path / "good.keras")
    (tmp_path / "bad.keras").write_bytes(changed(tmp_path / "good.keras", **{ending: other}))
    with pytest.raises(ValueError, match=told):
        ferrnn.models.load_model(tmp_path / "bad.keras")


def test_weights_of_words_of_a_size_that_is_not_there_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    read = TextVectorization(output_mode="tf_idf")
    read.adapt(TEXTS)
    model = ferrnn.Sequential([ferrnn.Input((), dtype="string"), read, layers.Dense(1)])
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    read.set_named_arrays({"idf_weights": np.zeros(read.vocabulary_size())})
    model.load_weights(path)
    assert np.asarray(read(TEXTS)).any()
    with h5py.File(path, "r+") as file:
        group = file["layers/text_vectorization/vars"]
        del group["idf_weights"]
        group.create_dataset("idf_weights", shape=(10**9,), chunks=(1000,), dtype="f4")
    with pytest.raises(ValueError, match="must be stored in full"):
        model.load_weights(path)
