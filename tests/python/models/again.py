"""Models that take batches that are alike, with plans and without, and what plans knew of these."""

import pytest

import ferrnn as keras
from ferrnn._src.training import judging
from ferrnn.layers import GRU, Dense, Dropout
from models.planned import data

BEFORE = keras.config.epsilon()


def made(loss=None):
    keras.utils.clear_session()  # so that names are the same
    keras.utils.set_random_seed(0)
    glorot = keras.initializers.GlorotUniform(seed=3)
    model = keras.Sequential(
        [
            keras.Input((6, 5)),
            GRU(7, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02), seed=1),
            Dropout(0.2, seed=2),
            Dense(1, activation="tanh", kernel_initializer=glorot),
        ]
    )
    metrics = ["mae", keras.metrics.BinaryAccuracy(threshold=0.1)]
    loss = loss or keras.losses.Huber(0.5)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


@pytest.fixture(name="again")
def counted(monkeypatch):
    """What each batch that was asked about did by what was known of one before."""
    asked, again = [], judging.TestingPlan.again

    def noted(plan, *given, **more):
        work = again(plan, *given, **more)
        asked.append(work)
        return work

    monkeypatch.setattr(judging.TestingPlan, "again", noted)
    return asked


@pytest.fixture(autouse=True)
def restored():
    """Classes and settings are as they were before."""
    yield
    restore()


def restore():
    keras.config.set_epsilon(BEFORE)
    for name in ("train_step", "test_step", "reset_metrics", "get_metrics_result"):
        if name in vars(keras.Sequential):
            delattr(keras.Sequential, name)


def both_ways(run, monkeypatch, **options):
    """What `run` gives for a model with plans and for one without, compared to the bit."""
    results = []
    for switch in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        model = made(**options)
        x, y = data(out=(1,))
        told = run(model, x, (y > 0).astype("float32"))
        parts = [*model.weights, *model.optimizer.variables, *model.metrics_variables]
        results.append((str(told), [each.numpy().tolist() for each in parts]))
        restore()
    assert results[0] == results[1]
