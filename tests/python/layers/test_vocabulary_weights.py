"""What lookup layers do before they have a vocabulary, and how they hand it on."""

import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn.layers import IntegerLookup, StringLookup, TextVectorization

TEXTS = ["the cat sat", "the dog ran off", "a cat"]
NEW = ["the unknown cat", "dog"]
MODES = ["int", "multi_hot", "count", "tf_idf"]


def through_a_pickle(value):
    return pickle.loads(pickle.dumps(value))


@each_case("mode", MODES)
@each_case("options", [{}, {"max_tokens": 5}, {"ngrams": 2}])
def test_configuration_and_weights_give_the_same_ids(mode, options):
    layer = TextVectorization(output_mode=mode, **options)
    layer.adapt(TEXTS)
    kept = through_a_pickle({"config": layer.get_config(), "weights": layer.get_weights()})
    again = TextVectorization.from_config(kept["config"])
    again.set_weights(kept["weights"])
    assert again.get_vocabulary() == layer.get_vocabulary()
    np.testing.assert_array_equal(again(NEW), layer(NEW))


def test_a_first_adapt_to_anything_does_no_harm():
    layer = TextVectorization()
    layer.adapt(TEXTS)
    again = TextVectorization.from_config(layer.get_config())
    again.adapt(["xyz"])
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(NEW), layer(NEW))


@pytest.mark.parametrize(
    ("kind", "data", "new"),
    [
        (StringLookup, np.array(["a", "b", "a"]), ["b", "a", "q"]),
        (IntegerLookup, np.array([30, 40, 30]), [40, 30, 7]),
    ],
)
def test_lookups_hand_their_tokens_on_as_well(kind, data, new):
    layer = kind()
    layer.adapt(data)
    again = kind.from_config(layer.get_config())
    again.set_weights(through_a_pickle(layer.get_weights()))
    np.testing.assert_array_equal(again(new), layer(new))
    given = kind(vocabulary=data[:2])
    np.testing.assert_array_equal(
        given(new), kind.from_config(given.get_config())(new), "it stands in the configuration"
    )


def test_weights_of_a_wrong_number_are_refused():
    layer = TextVectorization(name="texts")
    assert layer.get_weights() == []
    layer.set_weights([])
    layer.adapt(TEXTS)
    with pytest.raises(ValueError, match=r"`weights` of layer .* must hold 1 arrays.*received 2"):
        layer.set_weights([*layer.get_weights(), np.ones(3)])


@pytest.mark.parametrize(
    ("layer", "data"),
    [
        (TextVectorization(name="mine"), TEXTS),
        (StringLookup(name="mine"), ["a", "b"]),
        (IntegerLookup(name="mine"), [3, 4]),
    ],
)
def test_a_layer_without_a_vocabulary_warns(layer, data):
    with pytest.warns(UserWarning, match="layer 'mine' has no vocabulary yet.*call `adapt`"):
        layer(data)
    layer.adapt(np.array(data))
    layer(data)


def test_several_places_for_unknown_tokens_need_no_vocabulary():
    assert IntegerLookup(num_oov_indices=3, mask_token=None)([3, 4]).tolist() == [0, 1]
