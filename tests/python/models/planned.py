"""Models trained with plans and without, and compared."""

import numpy as np

import ferrnn as keras
from ferrnn._src.training.planning import TrainingPlan


def data(shape=(29, 6, 5), out=(3,), dtype="float32", seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=shape).astype(dtype)
    return x, random.normal(size=(shape[0], *out)).astype(dtype)


def trained(build, x, y, monkeypatch, *, planned, compiled=None, heeded=True, **options):
    """A model trained with plans or without, and its history; plans that are `heeded` do not give
    up."""
    monkeypatch.setenv("FERRNN_PLAN", "1" if planned else "0")
    keras.utils.set_random_seed(7)
    model = build()
    given = {"optimizer": keras.optimizers.Adam(0.01), "loss": "mse", **(compiled or {})}
    model.compile(**{name: each() if callable(each) else each for name, each in given.items()})
    assert model.explain_plan().covered is planned, model.explain_plan()
    plans = []

    def noted(plan, *given):
        plans.append(plan)
        init(plan, *given)

    init = TrainingPlan.__init__
    with monkeypatch.context() as patch:
        patch.setattr(TrainingPlan, "__init__", noted)
        history = model.fit(x, y, **{"batch_size": 8, "epochs": 3, "verbose": 0, **options})
    assert bool(plans) is planned
    assert not any(plan._refused for plan in plans) or not heeded
    return model, history.history


def same(build, x, y, monkeypatch, **options):
    """Trains both ways and compares everything; returns the planned model."""
    (ours, history), (theirs, wanted) = (
        trained(build, x, y, monkeypatch, planned=planned, **options) for planned in (True, False)
    )
    assert history == wanted
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    pairs = zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True)
    for own, other in pairs:
        np.testing.assert_array_equal(own.numpy(), other.numpy())
    assert any(np.any(weight) for weight in ours.get_weights())
    return ours


def check_step(model, step, loss, rtol=1e-6):
    """Compares what `step()` of plain descent at rate 1 takes off the weights with differences.

    `loss()` is that of the weights as they are; weights that are not trained must stay.
    """
    before = model.get_weights()
    step()
    gradients = [old - new for old, new in zip(before, model.get_weights(), strict=True)]
    random = np.random.default_rng(1)
    for at, (weight, gradient) in enumerate(zip(model.weights, gradients, strict=True)):
        direction, values = random.normal(size=gradient.shape), []
        for sign in (1e-6, -1e-6):
            moved = [*before]
            moved[at] = before[at] + sign * direction
            model.set_weights(moved)
            values.append(loss())
        assert np.any(gradient) == weight.trainable
        slope = (values[0] - values[1]) / 2e-6 * weight.trainable
        np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol, 1e-3 * rtol)


def steps_of_calls(monkeypatch):
    """The number of steps that each call of the engine takes from now on."""
    taken, steps, next_of = [], TrainingPlan.steps, TrainingPlan.next_of

    def counted(self, batches, most, finite):
        done, loss = yield from steps(self, batches, most, finite)
        taken.append(done)
        return done, loss

    def counted_alone(self, batches):
        loss = next_of(self, batches)
        taken.extend([] if loss is None else [1])
        return loss

    monkeypatch.setattr(TrainingPlan, "steps", counted)
    monkeypatch.setattr(TrainingPlan, "next_of", counted_alone)
    return taken
