"""Datasets split in two, and texts in folders."""

import numpy as np
import pytest

import ferrnn
from ferrnn.utils import model_to_dot, split_dataset, text_dataset_from_directory


def test_a_dataset_is_split_by_counts_and_parts():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    left, right = split_dataset((x, y), left_size=0.7)
    assert (len(left), len(right)) == (7, 3)
    np.testing.assert_array_equal([label for _, label in right], [7, 8, 9])
    batches = list(left.batch(4))
    assert [batch[0].shape for batch in batches] == [(4, 2), (3, 2)]
    assert len(left.batch(4, drop_remainder=True)) == 1
    left, right = split_dataset([1, 2, 3, 4, 5], right_size=2)
    assert (list(left), list(right)) == ([1, 2, 3], [4, 5])
    left, right = split_dataset({"a": x}, left_size=5, right_size=2, shuffle=True, seed=1)
    seen = [float(part["a"][0]) for part in (*left, *right)]
    assert len(set(seen)) == 7
    assert seen != sorted(seen)


class ByNumber:
    """Samples by number, as PyTorch's datasets have them: nothing to go through."""

    def __init__(self, length):
        self.length, self.read = length, []

    def __len__(self):
        return self.length

    def __getitem__(self, number):
        self.read.append(number)
        return np.full(2, number, "f4"), number * 10


def test_samples_by_number_are_read_when_their_turn_comes():
    dataset = ByNumber(9)
    left, right = split_dataset(dataset, left_size=5, shuffle=True, seed=3)
    assert (len(left), len(right), dataset.read) == (5, 4, [])
    ((x, y),) = right.batch(4)
    read = list(dataset.read)
    assert len(read) == 4
    np.testing.assert_array_equal(x, np.stack([read, read], axis=1))
    np.testing.assert_array_equal(y, np.multiply(read, 10))
    assert sorted(read + [int(x[0]) for x, _ in left]) == list(range(9))
    with pytest.raises(ValueError, match="Received an empty dataset"):
        split_dataset(ByNumber(0), left_size=5)
    with pytest.raises(TypeError, match=r"samples by number\. Received: object"):
        split_dataset(object(), left_size=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "At least one of the `left_size` or `right_size` must be specified"),
        ({"left_size": 0.7, "right_size": 0.5}, "is larger than the number of samples"),
        ({"left_size": 10}, "positive integer smaller than 10"),
        ({"left_size": -0.5}, "within the range"),
        ({"left_size": 0.99}, "one of the parts would be empty"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        split_dataset(np.arange(10), **options)


@pytest.fixture
def folder(tmp_path):
    for name, count in (("bad", 3), ("good", 5)):
        (tmp_path / name).mkdir()
        for at in range(count):
            (tmp_path / name / f"{at}.txt").write_text(f"{name} text {at}", encoding="utf-8")
    return tmp_path


def test_texts_in_folders_are_batches_with_labels(folder, capsys):
    data = text_dataset_from_directory(folder, batch_size=3, shuffle=False)
    assert capsys.readouterr().out == "Found 8 files belonging to 2 classes.\n"
    assert data.class_names == ["bad", "good"]
    texts, labels = next(iter(data))
    assert (texts.tolist()[0], labels.tolist(), len(data)) == ("bad text 0", [0, 0, 0], 3)
    options = {"shuffle": False, "batch_size": 8, "verbose": False}
    ((short, rows),) = text_dataset_from_directory(
        folder, label_mode="categorical", max_length=4, **options
    )
    assert (short.tolist()[-1], rows.shape) == ("good", (8, 2))
    (alone,) = text_dataset_from_directory(folder, labels=None, **options)
    assert alone.shape == (8,)
    train, held = text_dataset_from_directory(
        folder, validation_split=0.25, subset="both", seed=1, verbose=False
    )
    assert not set(train.file_paths) & set(held.file_paths)
    assert (len(train.file_paths), len(held.file_paths)) == (6, 2)
    vectorize = ferrnn.layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(np.concatenate([texts for texts, _ in train]))
    assert vectorize(next(iter(train))[0]).shape == (6, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_mode": "words"}, "`label_mode` argument must be one of"),
        ({"labels": [0, 1]}, "Expected the lengths of `labels` to match"),
        ({"labels": "folders"}, "`labels` argument should be"),
        ({"class_names": ["a", "b"]}, "did not match the names of the subdirectories"),
        ({"validation_split": 0.2, "subset": "training"}, "you must provide a `seed`"),
        ({"validation_split": 0.0, "subset": "training"}, "`validation_split` must be set"),
        ({"validation_split": 2, "subset": "training", "seed": 1}, "between 0 and 1"),
        ({"subset": "training"}, "`validation_split` must be set"),
    ],
)
def test_wrong_settings_of_texts_are_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        text_dataset_from_directory(folder, verbose=False, **options)


def test_without_labels_all_texts_below_are_found(folder):
    (folder / "above.txt").write_text("above", encoding="utf-8")
    options = {"shuffle": False, "batch_size": None, "verbose": False}
    for chosen in ({"label_mode": None}, {"labels": None}):
        texts = list(text_dataset_from_directory(folder, **chosen, **options))
        assert (len(texts), texts[0]) == (9, "above")
    with pytest.raises(ValueError, match='only pass `class_names` if `labels="inferred"`'):
        text_dataset_from_directory(folder, labels=[0] * 9, class_names=["bad", "good"])


def test_a_graph_is_written_for_graphviz():
    inputs = ferrnn.Input((3,), name="x")
    one = ferrnn.layers.Dense(2, name='a "quoted" name')(inputs)
    model = ferrnn.Model(inputs, ferrnn.layers.Add(name="sum")([one, one]), name="net")
    text = model_to_dot(model, show_shapes=True, rankdir="LR")
    assert text.startswith('digraph "net" {\n  rankdir=LR;')
    assert '[label="a \\"quoted\\" name (Dense)\\nOutput shape: (None, 2)"]' in text
    assert text.count("->") == 2
