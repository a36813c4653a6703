"""Optimizers: clipping, rates, decay, state, errors. Their values are compared in golden/."""

import math

import numpy as np
import pytest

from ferrnn import Gradients, Parameter
from ferrnn._src.training import optimizers
from ferrnn.optimizers import SGD, Adam, RMSprop


def run(optimizer, steps=6, dtype=np.float64):
    """Weights after some steps, and the gradients of each step."""
    rng = np.random.default_rng(4)
    weights = [rng.normal(size=shape).astype(dtype) for shape in ((3, 2), (5,), (1,))]
    parameters = [Parameter(weight, f"w{at}") for at, weight in enumerate(weights)]
    history = []
    for step in range(steps):
        gradients = [rng.normal(size=weight.shape).astype(dtype) * (step + 1) for weight in weights]
        grads = Gradients()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            grads.add(parameter, gradient)
        optimizer.apply(grads, parameters)
        history.append(gradients)
    return weights, history, parameters


def one_step(optimizer, *gradients):
    parameters = [
        Parameter(np.zeros_like(gradient), f"w{at}") for at, gradient in enumerate(gradients)
    ]
    optimizer.apply(list(gradients), parameters)
    return [-parameter.value for parameter in parameters]


class TestClipping:
    big, small = np.array([3.0, -4.0]), np.array([0.3, 0.4])

    def test_by_value(self):
        assert [w.tolist() for w in one_step(SGD(1.0, clipvalue=0.35), self.big, self.small)] == [
            [0.35, -0.35],
            [0.3, 0.35],
        ]

    def test_by_norm_of_each(self):
        big, small = one_step(SGD(1.0, clipnorm=1.0), self.big, self.small)
        np.testing.assert_allclose(big, self.big / 5)
        np.testing.assert_array_equal(small, self.small)

    def test_by_norm_of_all(self):
        big, small = one_step(SGD(1.0, global_clipnorm=1.0), self.big, self.small)
        norm = math.sqrt(25.25)
        np.testing.assert_allclose(big, self.big / norm)
        np.testing.assert_allclose(small, self.small / norm)
        (kept,) = one_step(SGD(1.0, global_clipnorm=1.0), self.small)
        np.testing.assert_array_equal(kept, self.small)

    def test_gradients_handed_over_are_not_written_to(self):
        for options in ({"clipnorm": 1.0}, {"clipvalue": 1.0}, {"global_clipnorm": 1.0}, {}):
            for make in (SGD, Adam, RMSprop):
                gradient = self.big.copy()
                gradient.flags.writeable = False
                one_step(make(0.1, **options), gradient)
                np.testing.assert_array_equal(gradient, self.big)

    def test_only_one_kind_and_positive(self):
        with pytest.raises(ValueError, match="Only one of `clipnorm`, `clipvalue`"):
            SGD(clipnorm=1.0, clipvalue=1.0)
        with pytest.raises(ValueError, match="`clipnorm` must be a positive number, received -1"):
            Adam(clipnorm=-1.0)


class TestLearningRate:
    def test_can_be_assigned_and_used_as_a_number(self):
        optimizer = SGD(0.5)
        optimizer.learning_rate = 0.25
        assert float(optimizer.learning_rate) == 0.25
        assert optimizer.learning_rate.numpy() == 0.25
        assert f"{optimizer.learning_rate:.3f}" == "0.250"
        optimizer.learning_rate = optimizer.learning_rate * 2
        assert float(optimizer.learning_rate) == 0.5
        optimizer.learning_rate.assign(1.0)
        assert one_step(optimizer, np.ones(1))[0] == 1.0

    def test_may_be_a_callable(self):
        rates = iter([1.0, 10.0])
        optimizer, weight = SGD(lambda: next(rates)), Parameter(np.zeros(1), "w")
        optimizer.apply([np.ones(1)], [weight])
        optimizer.apply([np.ones(1)])
        assert weight.value == -11.0

    @pytest.mark.parametrize("rate", [1, "fast", None, True])
    def test_must_be_a_float(self, rate):
        with pytest.raises(ValueError, match="`learning_rate` should be float"):
            Adam(rate)


class TestWeightDecay:
    def test_comes_before_the_update(self):
        weight = Parameter(np.array([2.0]), "w")
        SGD(0.1, weight_decay=0.5).apply([np.array([1.0])], [weight])
        np.testing.assert_allclose(weight.value, 2.0 - 0.1 * 0.5 * 2.0 - 0.1)


class TestState:
    def test_a_write_makes_a_new_version(self):
        weight = Parameter(np.zeros(2), "w")
        before = weight.version
        SGD(0.1).apply([np.ones(2)], [weight])
        assert weight.version > before

    def test_variables_are_in_the_order_of_keras_files(self):
        optimizer = Adam(amsgrad=True)
        optimizer.build([Parameter(np.zeros(2), "a"), Parameter(np.zeros(3), "b")])
        assert [variable.path for variable in optimizer.variables] == [
            "adam/iteration",
            "adam/learning_rate",
            "adam/a_momentum",
            "adam/a_velocity",
            "adam/b_momentum",
            "adam/b_velocity",
            "adam/a_velocity_hat",
            "adam/b_velocity_hat",
        ]
        centered = RMSprop(momentum=0.5, centered=True, name="rms")
        centered.build([Parameter(np.zeros(2), "a"), Parameter(np.zeros(3), "b")])
        assert [variable.path[4:] for variable in centered.variables[2:]] == [
            "a_velocity",
            "b_velocity",
            "a_momentum",
            "b_momentum",
            "a_average_gradient",
            "b_average_gradient",
        ]

    def test_iterations_count_updates(self):
        optimizer = Adam()
        run(optimizer, steps=4)
        assert int(optimizer.iterations) == 4


class TestErrors:
    def test_arguments_nobody_knows_or_out_of_range(self):
        with pytest.raises(ValueError, match=r"Argument\(s\) not recognized: {'lr': 0.1}"):
            SGD(lr=0.1)
        with pytest.raises(ValueError, match="`momentum` must be a float"):
            SGD(momentum=1.5)
        with pytest.raises(ValueError, match="`beta_2`"):
            Adam(beta_2=1.0)

    def test_weights_it_was_not_built_with(self):
        optimizer = SGD()
        optimizer.build([Parameter(np.zeros(1), "known")])
        with pytest.raises(ValueError, match=r"Unknown variable: .*stranger"):
            optimizer.apply([np.ones(1)], [Parameter(np.zeros(1), "stranger")])

    def test_missing_gradients(self):
        first, second = Parameter(np.zeros(1), "first"), Parameter(np.zeros(1), "second")
        optimizer = SGD(1.0)
        with pytest.warns(UserWarning, match=r"do not exist for variables \['second'\]"):
            optimizer.apply([np.ones(1), None], [first, second])
        assert first.value == -1
        assert second.value == 0
        optimizer.apply([np.ones(1), None], [first, second])  # said once
        with pytest.raises(ValueError, match="No gradients provided for any variable"):
            optimizer.apply([None, None], [first, second])

    def test_lists_of_gradients(self):
        weight = Parameter(np.zeros(1), "w")
        with pytest.raises(ValueError, match="2 gradients for 1 variables"):
            SGD().apply([np.ones(1), np.ones(1)], [weight])
        with pytest.raises(ValueError, match="must already be built"):
            SGD().apply([np.ones(1)])
        assert int(SGD(1.0).apply_gradients([(np.ones(1), weight)])) == 1
        assert weight.value == -1

    def test_get(self):
        assert isinstance(optimizers.get("SGD"), SGD)
        assert isinstance(optimizers.get("rmsprop"), RMSprop)
        made = optimizers.get({"class_name": "Adam", "config": {"learning_rate": 0.5}})
        assert float(made.learning_rate) == 0.5
        assert optimizers.get(made) is made
        with pytest.raises(ValueError, match="Could not interpret optimizer identifier: 'adm'"):
            optimizers.get("adm")
        assert type(optimizers.get("muon")).__name__ == "Muon"
