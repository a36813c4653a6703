import copy
import pickle

import numpy as np
import pytest

from ferrnn import Gradients, Parameter, name_scope


def test_value_is_a_read_only_view():
    parameter = Parameter(np.arange(3.0), "bias")
    with pytest.raises(ValueError, match="read-only"):
        parameter.value[0] = 1
    assert np.shares_memory(parameter.value, parameter.value)


def test_every_write_makes_a_new_version():
    parameter = Parameter(np.zeros(3, "float32"), "bias")
    versions = [parameter.version]
    parameter.assign([1, 2, 3])
    versions.append(parameter.version)
    with parameter.writing() as array:
        array[...] += 1
    versions.append(parameter.version)
    assert len(set(versions)) == 3
    assert parameter.value.tolist() == [2, 3, 4]
    assert parameter.dtype == np.float32


def test_no_two_parameters_share_a_version():
    assert Parameter(0.0, "a").version != Parameter(0.0, "a").version


def test_the_array_it_was_made_from_stays_apart():
    source = np.zeros(2)
    parameter = Parameter(source, "bias")
    source[0] = 5
    copied = parameter.numpy()
    copied[1] = 5
    assert parameter.value.tolist() == [0, 0]


@pytest.mark.parametrize("value", [np.zeros(2), np.zeros((3, 1)), 0.0])
def test_assign_refuses_another_shape(value):
    parameter = Parameter(np.zeros(3), "bias", path="lstm/bias")
    with pytest.raises(ValueError, match=r"'lstm/bias' must have the shape \(3,\), received"):
        parameter.assign(value)


def test_assign_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="real numbers"):
        Parameter(np.zeros(1), "bias").assign(["a"])


def test_path_says_where_it_was_made():
    with name_scope("lstm"), name_scope("lstm_cell"):
        parameter = Parameter(0.0, "kernel")
    assert (parameter.name, parameter.path) == ("kernel", "lstm/lstm_cell/kernel")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_is_a_parameter_of_its_own(copied):
    parameter = Parameter(np.zeros(2), "bias", trainable=False, path="a/bias")
    other = copied(parameter)
    other.assign([1, 1])
    assert parameter.value.tolist() == [0, 0]
    assert (other.name, other.path, other.trainable) == ("bias", "a/bias", False)
    with other.writing() as array:
        array[...] += 1
    assert other.value.tolist() == [2, 2]


def test_numpy_takes_a_parameter_for_an_array():
    parameter = Parameter([[1.0, 2.0]], "kernel")
    assert np.sum(parameter) == 3
    assert np.asarray(parameter, "float32").dtype == np.float32
    assert (len(parameter), parameter.ndim, parameter.size) == (1, 2, 2)


def test_gradients_add_up_without_writing_to_what_they_were_given():
    parameter, other = Parameter(np.zeros(2), "a"), Parameter(np.zeros(2), "a")
    first = np.ones(2)
    grads = Gradients()
    grads.add(parameter, first)
    grads.add(parameter, np.ones(2))
    assert grads[parameter].tolist() == [2, 2]
    assert first.tolist() == [1, 1]
    assert parameter in grads
    assert other not in grads
    assert grads.get(other) is None
    assert [p for p, _ in grads.items()] == [parameter]
    with pytest.raises(KeyError, match="no gradient"):
        grads[other]
    with pytest.raises(ValueError, match="must have the shape"):
        grads.add(parameter, np.ones(3))


def test_a_write_that_fails_makes_a_new_version_too():
    parameter = Parameter(np.zeros(3), "bias")
    before = parameter.version
    with pytest.raises(ZeroDivisionError), parameter.writing() as array:
        array[0] = 1 / 0
    assert parameter.version != before


def test_a_snapshot_is_made_once_for_each_version_and_never_changes():
    parameter = Parameter(np.zeros(3), "bias")
    first = parameter.snapshot()
    assert parameter.snapshot() is first
    with parameter.writing() as array:
        array[...] += 1
    second = parameter.snapshot()
    parameter.assign(np.full(3, 2.0))
    third = parameter.snapshot()
    assert [each.tolist() for each in (first, second, third)] == [[0.0] * 3, [1.0] * 3, [2.0] * 3]
    with pytest.raises(ValueError, match="read-only"):
        third[0] = 5
