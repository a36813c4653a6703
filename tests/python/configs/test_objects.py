"""What a configuration may name."""

import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import initializers


@each_case("name", ["get", "serialize", "deserialize", "load_model", "Model", "os"])
def test_functions_of_configurations_are_activations_and_losses_alone(name):
    data = {"class_name": "function", "module": "builtins", "config": name}
    with pytest.raises(ValueError, match=f"'{name}' is not known"):
        keras.saving.deserialize_keras_object(data)
    with pytest.raises(ValueError, match="Could not interpret"):
        initializers.deserialize(data)
