"""Models of frames are copied, pickled and saved as others are."""

import copy
import pickle

import numpy as np
import pytest

import ferrnn
from ferrnn import layers


def test_models_of_frames_are_copied_pickled_and_saved(tmp_path):
    pytest.importorskip("h5py")
    frames = np.random.default_rng(6).normal(size=(2, 3, 6, 6, 1)).astype("float32")
    model = ferrnn.Sequential(
        [
            ferrnn.Input((3, 6, 6, 1)),
            layers.ConvLSTM2D(3, 3, return_sequences=True),
            layers.TimeDistributed(layers.SeparableConv2D(4, 2)),
            layers.TimeDistributed(layers.Conv2DTranspose(2, 2)),
            layers.TimeDistributed(layers.GlobalAveragePooling2D()),
            layers.GRU(3),
            layers.EinsumDense("ab,bc->ac", 2, bias_axes="c"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(frames, np.ones((2, 2)), verbose=0)
    expected = model.predict(frames, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = ferrnn.models.load_model(tmp_path / "model.keras")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        np.testing.assert_array_equal(other.predict(frames, verbose=0), expected)
