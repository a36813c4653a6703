"""What dropout layers write of themselves."""

import pytest

from ferrnn.layers import SpatialDropout1D, SpatialDropout2D


@pytest.mark.parametrize("kind", [SpatialDropout1D, SpatialDropout2D])
def test_keras_takes_the_settings_of_spatial_dropout(kind):
    # The constructors of Keras 3.15 know no `trainable`, and a file with it does not open there.
    config = kind(0.25, seed=3).get_config()
    assert {"rate", "seed", "name", "dtype"} <= set(config)
    assert set(config) <= {"rate", "seed", "name", "dtype", "data_format"}
    assert kind.from_config(config).rate == 0.25
