"""`MultiOptimizer`: weights with optimizers of their own."""

import pickle

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import Parameter, callbacks
from ferrnn.optimizers import SGD, Adam, LossScaleOptimizer, MultiOptimizer, OptimizerMap, RMSprop

RNG = np.random.default_rng(8)
X = RNG.normal(size=(12, 5, 3)).astype("float32")
Y = X.sum(axis=(1, 2))[:, None]


def layers():
    return [keras.Input((5, 3)), keras.layers.GRU(4, name="read"), keras.layers.Dense(1)]


def several(**options):
    chosen = OptimizerMap(SGD(0.05, name="slow"), {".*read/.*": Adam(0.01, name="fast")})
    return MultiOptimizer(chosen, **options)


def model(optimizer):
    made = keras.Sequential(layers())
    made.compile(optimizer, "mse")
    return made


def parameters(*paths):
    return [Parameter(RNG.normal(size=(2, 3)), path[-1:], path=path) for path in paths]


def test_each_weight_moves_as_by_its_optimizer_alone():
    weights = parameters("read/a", "read/b", "head/c", "head/d")
    twins = [Parameter(each.value, each.name, path=each.path) for each in weights]
    both, fast, slow = several(), Adam(0.01), SGD(0.05)
    for _ in range(4):
        grads = [RNG.normal(size=(2, 3)) for _ in weights]
        both.apply(grads, weights)
        fast.apply(grads[:2], twins[:2])
        slow.apply(grads[2:], twins[2:])
    for ours, theirs in zip(weights, twins, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)
    assert [int(each.iterations) for each in (both, *both.optimizers)] == [4, 4, 4]
    assert len(both.variables) == 2 + len(fast.variables) + len(slow.variables)


def test_weights_without_a_gradient_are_left_aside():
    weights = parameters("read/a", "read/b", "head/c")
    before = [each.numpy() for each in weights]
    both = several()
    with pytest.warns(UserWarning, match="Gradients do not exist for variables.*head/c"):
        both.apply([np.ones((2, 3)), np.ones((2, 3)), None], weights)
    changed = [not np.array_equal(w.value, b) for w, b in zip(weights, before, strict=True)]
    assert changed == [True, True, False]
    assert [int(each.iterations) for each in both.optimizers] == [1, 0]
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        both.apply([None, None, None], weights)


@pytest.mark.parametrize("suffix", [".keras", ".safetensors"])
def test_a_model_trains_is_saved_and_goes_on(tmp_path, suffix):
    if suffix == ".keras":
        pytest.importorskip("h5py")
    made = model(several())
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    made.fit(X, Y, epochs=2, **options)
    assert "MultiOptimizer" in str(made.explain_plan())
    made.save(tmp_path / f"model{suffix}")
    again = keras.models.load_model(tmp_path / f"model{suffix}")
    assert [type(each) for each in again.optimizer.optimizers] == [Adam, SGD]
    for ours, theirs in zip(again.optimizer.variables, made.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)
    copied = pickle.loads(pickle.dumps(made))
    found = [each.fit(X, Y, **options).history["loss"] for each in (made, again, copied)]
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    assert found[2] == pytest.approx(found[0], rel=1e-6)


def test_a_function_chooses_too():
    fast, slow = Adam(0.01), SGD(0.1)
    both = MultiOptimizer(lambda weight: fast if weight.path.startswith("read") else slow)
    assert both.optimizers == []
    weights = parameters("head/c", "read/a")
    both.build(weights)
    assert both.optimizers == [slow, fast]
    assert both._trainable_variables == weights


def test_the_scale_of_the_loss_is_theirs():
    plain, scaled = model(several()), model(several(loss_scale_factor=64.0))
    scaled.set_weights(plain.get_weights())
    for each in (plain, scaled):
        each.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    for ours, theirs in zip(scaled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert scaled.optimizer.scale_loss(2.0) == 128.0


def test_averages_become_the_weights():
    options = {"use_ema": True, "ema_momentum": 0.5}
    chosen = OptimizerMap(SGD(0.05, **options), {".*read/.*": Adam(0.01, **options)})
    made = model(MultiOptimizer(chosen))
    made.fit(X, Y, batch_size=4, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
    averages = made.optimizer._model_variables_moving_average
    for weight, average in zip(made.trainable_weights, averages, strict=True):
        np.testing.assert_array_equal(weight.value, average.value)


def test_weights_whose_optimizer_keeps_no_averages_are_not_swapped():
    chosen = OptimizerMap(SGD(0.05), {".*read/.*": SGD(0.1, use_ema=True, ema_momentum=0.9)})
    made = model(MultiOptimizer(chosen))
    made.train_on_batch(X, Y)
    averages = made.optimizer.optimizers[0]._model_variables_moving_average
    for average in averages:
        average.assign(average.numpy() + 1)
    before, expected = made.get_weights(), [each.numpy() for each in averages]
    swap = callbacks.SwapEMAWeights()
    swap.set_model(made)
    swap.on_test_begin()
    for weight, value in zip(made.get_weights(), [*expected, *before[3:]], strict=True):
        np.testing.assert_array_equal(weight, value)
    swap.on_test_end()
    for weight, value in zip(made.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_callbacks_set_every_rate():
    made = model(several())
    halving = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = made.fit(X, Y, epochs=2, verbose=0, callbacks=[halving]).history
    assert history["learning_rate_fast"] == pytest.approx([0.005, 0.0025])
    assert history["learning_rate_slow"] == pytest.approx([0.025, 0.0125])
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    plateau.min_lr = 0.003
    made.fit(X, Y, epochs=2, verbose=0, callbacks=[plateau])
    rates = [float(each.learning_rate) for each in made.optimizer.optimizers]
    assert rates == pytest.approx([0.0025, 0.00625])
    for read in (lambda: made.optimizer.learning_rate, lambda: setattr(*_setting(made))):
        with pytest.raises(AttributeError, match=r"on a MultiOptimizer.*individual sub-optimizers"):
            read()


def _setting(made):
    return made.optimizer, "learning_rate", 0.1


def test_keys_are_paths_or_match_whole_ones():
    default, fast, slow = RMSprop(), Adam(), SGD()
    chosen = OptimizerMap(default)
    chosen["encoder/.*"] = fast
    chosen["encoder/dense/kernel"] = slow
    chosen["decoder"] = slow
    found = [chosen[key] for key in ("encoder/dense/kernel", "encoder/x", "decoder", "decoder/x")]
    assert found == [slow, fast, slow, default]
    assert (len(chosen), next(iter(chosen))) == (3, "encoder/.*")
    chosen[".*/x"] = slow
    with pytest.raises(ValueError, match=r"Multiple optimizers assigned to variable encoder/x"):
        chosen["encoder/x"]
    del chosen[".*/x"]
    again = keras.optimizers.deserialize(keras.optimizers.serialize(MultiOptimizer(chosen)))
    assert [type(each) for each in again.optimizers] == [Adam, SGD, SGD, RMSprop]


def test_what_is_no_optimizer_is_refused():
    chosen = OptimizerMap(SGD(), {"a": SGD()})
    for key, optimizer, told in (
        ("a", SGD(), "'a' already exists in the OptimizerMap"),
        (3, SGD(), "key must be a string"),
        ("b", "sgd", "optimizer must be a Keras Optimizer instance"),
        ("b", LossScaleOptimizer(SGD()), "optimizer cannot be LossScaleOptimizer"),
        ("b", several(), "optimizer cannot be MultiOptimizer"),
    ):
        with pytest.raises(ValueError, match=told):
            chosen[key] = optimizer
    with pytest.raises(TypeError, match="default_optimizer must be a Keras Optimizer instance"):
        OptimizerMap("sgd")
    with pytest.raises(TypeError, match="optimizer_map must be a dictionary"):
        OptimizerMap(SGD(), [SGD()])
    with pytest.raises(TypeError, match="`optimizer_map` must be an OptimizerMap, or a function"):
        MultiOptimizer(SGD())
    with pytest.raises(ValueError, match=r"Optimizer for variable w.*not an Optimizer instance"):
        MultiOptimizer(lambda weight: "sgd").build(parameters("w"))
