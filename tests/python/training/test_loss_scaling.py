"""`LossScaleOptimizer`, and callbacks of optimizers that it is around."""

import re

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import callbacks, layers, optimizers

rng = np.random.default_rng(8)
X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))


def trained(optimizer, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile(optimizer, "mse", metrics=["mse"])
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, **options)
    return model


def test_finite_gradients_give_the_bits_of_the_inner_optimizer():
    plain = trained(optimizers.Adam(0.01, use_ema=True))
    inner = optimizers.Adam(0.01, use_ema=True)
    scaled = trained(optimizers.LossScaleOptimizer(inner, 2.0**20, dynamic_growth_steps=4))
    for first, second in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert float(scaled.optimizer.dynamic_scale) == 2.0**22
    assert int(scaled.optimizer.iterations) == 10
    assert int(scaled.optimizer.step_counter) == 2


def test_an_update_that_is_not_finite_is_left_out():
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5), initial_scale=4.0)
    weights = [keras.Variable([1.0, 2.0]), keras.Variable([3.0])]
    for wrong in (np.inf, np.nan):
        optimizer.apply([np.array([4.0, wrong]), np.array([4.0])], weights)
    assert [weight.numpy().tolist() for weight in weights] == [[1.0, 2.0], [3.0]]
    assert float(optimizer.dynamic_scale) == 1.0
    optimizer.apply([np.array([2.0, 0.0]), np.zeros(1)], weights)
    assert weights[0].numpy().tolist() == [0.0, 2.0]


@pytest.mark.parametrize("suffix", [".keras", ".safetensors"])
def test_it_comes_back_from_a_file(tmp_path, suffix):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.02), dynamic_growth_steps=4)
    model = trained(optimizer)
    model.save(tmp_path / f"model{suffix}")
    again = keras.models.load_model(tmp_path / f"model{suffix}")
    assert type(again.optimizer.inner_optimizer).__name__ == "Adam"
    assert float(again.optimizer.dynamic_scale) == float(optimizer.dynamic_scale)
    for each in (model, again):
        each.fit(X, Y, shuffle=False, verbose=0)
    for first, second in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_callbacks_reach_the_inner_optimizer():
    inner = optimizers.SGD(use_ema=True, ema_momentum=0.9)
    hooks = [callbacks.SwapEMAWeights(), callbacks.LearningRateScheduler(lambda epoch: 0.25)]
    model = trained(optimizers.LossScaleOptimizer(inner), callbacks=hooks, validation_data=(X, Y))
    assert float(inner.learning_rate) == float(model.optimizer.learning_rate) == 0.25
    logs = model.evaluate(X, Y, batch_size=4, return_dict=True, verbose=0)
    assert model.history.history["val_mse"][-1] == logs["mse"]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(TypeError, match="`inner_optimizer` must be an optimizer other than"):
        optimizers.LossScaleOptimizer("sgd")
    with pytest.raises(ValueError, match="`initial_scale` must be positive"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), initial_scale=0)
    optimizers.LossScaleOptimizer(optimizers.SGD(), dynamic=True, use_ema=False, clipnorm=None)
    for wrong, told in (
        ({"dynamic": False}, "`dynamic=False`. Instead, simply set `loss_scale_factor`"),
        ({"clipnorm": 1.0}, "`clipnorm`. Instead, set it on the `inner_optimizer`"),
        ({"use_ema": True}, "`use_ema`. Instead, set it on the `inner_optimizer`"),
        ({"gradient_accumulation_steps": 2}, "`gradient_accumulation_steps`. Instead"),
        ({"foo": 1, "bar": 2}, "arguments: `foo`, `bar`"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"does not support {told}")):
            optimizers.LossScaleOptimizer(optimizers.SGD(), **wrong)


def test_there_is_one_scale():
    weight = keras.Variable([1.0, 2.0])
    inner = optimizers.SGD(0.5, loss_scale_factor=100.0)
    outer = optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    outer.apply([np.array([8.0, 16.0], "f4")], [weight])
    np.testing.assert_array_equal(weight.numpy(), [0.5, 1.0])
    inner = optimizers.SGD(0.5)
    several = optimizers.MultiOptimizer(optimizers.OptimizerMap(inner), loss_scale_factor=5.0)
    outer = optimizers.LossScaleOptimizer(several, initial_scale=4.0)
    weight = keras.Variable([1.0, 2.0])
    outer.apply([np.array([4.0, 8.0], "f4")], [weight])
    np.testing.assert_array_equal(weight.numpy(), [0.5, 1.0])


def test_a_monitor_that_says_no_direction_is_refused_though_it_is_not_in_the_logs():
    with pytest.raises(ValueError, match="cannot be determined automatically"):
        trained("sgd", callbacks=[callbacks.EarlyStopping(monitor="unknown")])


def test_what_a_lambda_callback_does_not_know_becomes_an_attribute():
    made = callbacks.LambdaCallback(on_epoch_end=print, custom=len)
    assert made.custom is len
    with pytest.raises(ValueError, match=r"received \['on_epochend'\]"):
        callbacks.LambdaCallback(on_epochend=print)


def test_it_is_where_programs_of_mixed_precision_look_for_it():
    assert keras.mixed_precision.LossScaleOptimizer is keras.optimizers.LossScaleOptimizer
    with pytest.raises(ValueError, match="optimizer"):
        keras.optimizers.get("lossscaleoptimizer")  # of what?
