"""The tokenizer beyond what Keras' own values say."""

import numpy as np
import pytest

from ferrnn.preprocessing.text import Tokenizer, hashing_trick, one_hot


def test_lists_of_words_and_own_analyzers():
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts([["A", "b"], ["b"]])
    assert tokenizer.word_index == {"b": 1, "a": 2}
    assert tokenizer.texts_to_sequences([["B", "A", "c"]]) == [[1, 2]]
    lines = Tokenizer(analyzer=lambda text: text.split("|"))
    lines.fit_on_texts(["x y|z"])
    assert lines.word_index == {"x y": 1, "z": 2}


def test_numbers_alone_are_weighted():
    tokenizer = Tokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 1, 3], [3]])
    matrix = tokenizer.sequences_to_matrix([[1, 1, 7]], "tfidf")
    expected = (1 + np.log(2)) * np.log(1 + 2 / 2)
    np.testing.assert_allclose(matrix, [[0, expected, 0, 0]])


def test_hashes_stay_within_range():
    assert all(1 <= index < 5 for index in one_hot("a b c d e f g", 5))
    assert hashing_trick("ab c", 10, len) == [3, 2]


def test_errors():
    with pytest.raises(ValueError, match="`hash_function`"):
        hashing_trick("a", 5, "sha")
    with pytest.raises(ValueError, match="Specify a dimension"):
        Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="before using tfidf"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf")
    with pytest.raises(ValueError, match="vectorization mode: odd"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], "odd")
