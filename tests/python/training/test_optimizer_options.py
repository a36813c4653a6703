"""What all optimizers share: averages, gathered gradients, decay, schedules, own optimizers."""

import json

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import Parameter, ops
from ferrnn.optimizers import SGD, Adam, AdamW, Ftrl, Lion, Nadam, Optimizer, schedules


def model(optimizer):
    made = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones"), keras.layers.Dense(1)]
    )
    made.compile(optimizer, loss="mse")
    return made


def data(count=12):
    rng = np.random.default_rng(3)
    return rng.normal(size=(count, 3)).astype("float32"), rng.normal(size=(count, 1))


class TestMovingAverages:
    def test_the_weights_are_the_averages_after_fit(self):
        optimizer = SGD(0.1, use_ema=True, ema_momentum=0.5)
        trained = model(optimizer)
        trained.fit(*data(), epochs=2, batch_size=4, verbose=0)
        averages = [each for each in optimizer.variables if each.name == "average"]
        for weight, average in zip(trained.trainable_weights, averages, strict=True):
            np.testing.assert_array_equal(weight.value, average.value)

    def test_training_goes_on_from_the_weights_until_then(self):
        (weight,), rate = [Parameter([1.0], "w")], 0.5
        optimizer = SGD(rate, use_ema=True, ema_momentum=0.75)
        plain, average = 1.0, 0.0
        for step, gradient in enumerate([1.0, -2.0, 0.5]):
            optimizer.apply([np.array([gradient])], [weight])
            plain -= rate * gradient
            momentum = 0.75 if step else 0.0
            average = momentum * average + (1 - momentum) * plain
            assert weight.value == plain
        assert optimizer.variables[2].value == pytest.approx(average)
        optimizer.finalize_variable_values([weight])
        assert weight.value == pytest.approx(average)

    def test_fit_for_no_epochs_leaves_weights_alone(self):
        trained = model(SGD(0.1, use_ema=True))
        before = trained.get_weights()
        trained.fit(*data(), epochs=0, verbose=0)
        for weight, known in zip(trained.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, known)

    def test_settings_must_make_sense(self):
        with pytest.raises(ValueError, match=r"`ema_momentum` must be in the range \[0, 1\]"):
            Adam(use_ema=True, ema_momentum=1.5)
        with pytest.raises(ValueError, match="`ema_overwrite_frequency` must be an integer >= 1"):
            Adam(use_ema=True, ema_overwrite_frequency=-1)


class TestGatheredGradients:
    def test_two_halves_are_as_good_as_the_whole(self):
        x, y = data(8)
        whole, halves = model(Adam(0.1)), model(Adam(0.1, gradient_accumulation_steps=2))
        halves.set_weights(whole.get_weights())
        for _ in range(3):
            whole.train_on_batch(x, y)
            halves.train_on_batch(x[:4], y[:4])
            halves.train_on_batch(x[4:], y[4:])
        assert halves.optimizer.iterations == 3
        for ours, theirs in zip(halves.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    def test_one_is_refused(self):
        with pytest.raises(ValueError, match="`gradient_accumulation_steps` must be an integer"):
            SGD(gradient_accumulation_steps=1)


class TestScaledLoss:
    def test_the_scale_is_taken_out_again(self):
        x, y = data(8)
        plain, scaled = model(SGD(0.1)), model(SGD(0.1, loss_scale_factor=1024.0))
        scaled.set_weights(plain.get_weights())
        for each in (plain, scaled):
            each.fit(x, y, shuffle=False, batch_size=4, verbose=0)
        for ours, theirs in zip(scaled.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert scaled.optimizer.scale_loss(2.0) == 2048.0


class TestWeightDecay:
    @pytest.mark.parametrize("kind", [SGD, AdamW, Lion, Ftrl])
    def test_weights_may_be_spared(self, kind):
        kernel, bias, listed = (Parameter(np.ones(2), name) for name in ("kernel", "bias", "scale"))
        optimizer = kind(0.5, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_list=[listed], var_names=["bias"])
        plain = kind(0.5, weight_decay=0.0)
        twin = Parameter(np.ones(2), "twin")
        gradient = np.array([0.5, -0.5])
        optimizer.apply([gradient] * 3, [kernel, bias, listed])
        plain.apply([gradient], [twin])
        np.testing.assert_array_equal(bias.value, twin.value)
        np.testing.assert_array_equal(listed.value, twin.value)
        if kind is not Ftrl:  # whose weights do not depend on what they were
            assert np.all(kernel.value != twin.value)

    def test_spared_before_it_is_built(self):
        optimizer = AdamW()
        optimizer.build([Parameter(np.ones(2), "w")])
        with pytest.raises(ValueError, match="before the optimizer is built"):
            optimizer.exclude_from_weight_decay(var_names=["w"])

    def test_adamw_needs_one(self):
        with pytest.raises(ValueError, match="`weight_decay` must be a float"):
            AdamW(weight_decay=None)


class TestSchedules:
    def test_the_rate_is_that_of_the_updates_done(self):
        schedule = schedules.PiecewiseConstantDecay([1], [1.0, 0.25])
        optimizer, weight = SGD(schedule), Parameter([0.0], "w")
        moves = []
        for _ in range(4):
            assert optimizer.learning_rate == schedule(int(optimizer.iterations))
            before = weight.numpy()
            optimizer.apply([np.ones(1)], [weight])
            moves.append(float((before - weight.value)[0]))
        assert moves == [1.0, 1.0, 0.25, 0.25]
        assert [each.name for each in optimizer.variables] == ["iteration"]

    def test_a_rate_that_follows_a_schedule_cannot_be_set(self):
        optimizer = Adam(schedules.ExponentialDecay(0.1, 10, 0.5))
        with pytest.raises(TypeError, match="created with a `LearningRateSchedule`"):
            optimizer.learning_rate = 0.5
        optimizer.learning_rate = schedules.InverseTimeDecay(0.25, 10, 0.5)
        assert optimizer.learning_rate == 0.25

    def test_fit_follows_it(self):
        rates = []
        trained = model(Adam(schedules.ExponentialDecay(0.1, 1, 0.5)))
        told = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: rates.append(trained.optimizer.learning_rate)
        )
        trained.fit(*data(), batch_size=4, callbacks=[told], verbose=0)
        assert rates == pytest.approx([0.05, 0.025, 0.0125])

    def test_own_schedules(self):
        class Halving(schedules.LearningRateSchedule):
            def __call__(self, step):
                return 0.5 ** (step + 1)

            def get_config(self):
                return {}

        optimizer = SGD(Halving())
        config = keras.optimizers.serialize(optimizer)
        assert config["config"]["learning_rate"]["class_name"] == "Halving"
        again = keras.optimizers.deserialize(config, custom_objects={"Halving": Halving})
        assert again.learning_rate == 0.5
        with pytest.raises(ValueError, match="'Halving' is not known"):
            keras.optimizers.deserialize(json.loads(json.dumps(config)))
        with pytest.raises(NotImplementedError, match="must override `get_config"):
            schedules.LearningRateSchedule().get_config()

    @pytest.mark.parametrize(
        "make",
        [
            lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
            lambda: schedules.CosineDecay(0.1, -1),
            lambda: schedules.CosineDecayRestarts(0.1, 0),
        ],
    )
    def test_decay_takes_time(self, make):
        with pytest.raises(ValueError, match=r"decay_steps` must be > 0"):
            make()

    def test_boundaries_lie_between_values(self):
        with pytest.raises(ValueError, match="boundaries should be 1 less"):
            schedules.PiecewiseConstantDecay([1], [1.0])


class Momentum(Optimizer):
    """An optimizer as Keras' guide writes a custom one."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = [
            self.add_variable_from_reference(reference_variable=variable, name="momentum")
            for variable in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, ops.subtract(ops.multiply(m, self.momentum), gradient * learning_rate))
        self.assign_add(variable, m)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class TestOwnOptimizers:
    @pytest.mark.parametrize("options", [{}, {"clipnorm": 0.5, "weight_decay": 0.1}], ids=str)
    def test_written_for_keras(self, options):
        own, built_in = model(Momentum(**options)), model(SGD(0.1, momentum=0.9, **options))
        own.set_weights(built_in.get_weights())
        for each in (own, built_in):
            each.fit(*data(), shuffle=False, batch_size=4, epochs=2, verbose=0)
        for ours, theirs in zip(own.get_weights(), built_in.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert own.optimizer.variables[2].name == "momentum"
        config = keras.optimizers.serialize(own.optimizer)
        again = keras.optimizers.deserialize(config, custom_objects={"Momentum": Momentum})
        assert again.momentum == 0.9

    def test_variables_are_made_in_keras_order(self):
        optimizer = SGD()
        weights = [Parameter(np.ones(2), "a"), Parameter(np.ones(3), "b")]
        first, second = optimizer.add_optimizer_variables(weights, ["m", "v"], ["zeros", "ones"])
        assert [each.path for each in optimizer.variables[2:]] == [
            "sgd/a_m", "sgd/a_v", "sgd/b_m", "sgd/b_v",
        ]  # fmt: skip
        assert [first[1].shape, second[1].value.tolist()] == [(3,), [1.0, 1.0, 1.0]]
        assert optimizer.add_variable((2, 2), name="extra").shape == (2, 2)


class TestStoring:
    @pytest.mark.parametrize("kind", [Adam, Nadam, Ftrl])
    def test_a_stored_optimizer_goes_on_as_if_nothing_happened(self, kind):
        rng = np.random.default_rng(5)
        gradients = rng.normal(size=(4, 3))
        optimizer, weight = kind(0.1, use_ema=True), Parameter(np.ones(3), "w")
        for gradient in gradients[:2]:
            optimizer.apply([gradient], [weight])
        store, copy = {}, Parameter(weight.numpy(), "w")
        optimizer.save_own_variables(store)
        again = kind(0.1, use_ema=True)
        again.build([copy])
        again.load_own_variables(store)
        for gradient in gradients[2:]:
            optimizer.apply([gradient], [weight])
            again.apply([gradient], [copy])
        np.testing.assert_array_equal(weight.value, copy.value)
        third = kind(0.1, use_ema=True)
        third.build([copy])
        third.set_weights([each.numpy() for each in again.variables])
        assert [each.numpy().tolist() for each in third.variables] == [
            each.numpy().tolist() for each in again.variables
        ]

    def test_another_number_of_variables_is_left_alone(self):
        optimizer = SGD()
        with pytest.warns(UserWarning, match="has 2 variables whereas the saved optimizer has 1"):
            optimizer.load_own_variables({"0": 3})
        with pytest.raises(ValueError, match="one entry for each of the 2 variables"):
            optimizer.set_weights([1])
        assert int(optimizer.iterations) == 0


def test_nothing_to_apply_is_nothing_done():
    optimizer = Adam()
    optimizer.apply([])
    assert int(optimizer.iterations) == 0


def test_the_decay_of_keras_2_is_ignored_with_a_word():
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        SGD(decay=0.1)
