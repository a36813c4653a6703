"""What code of users reads beside weights may change at any time: plans and programs follow."""

import gc
import weakref

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn._src.models import expanding
from ferrnn.layers import GRU, Dense
from models.planned import data

FACTOR = 1.0
SETTINGS = {"factor": 1.0}


def helped(values):
    return values * FACTOR


class Options:
    factor = 1.0

    def __init__(self):
        self.factor = 1.0


class Reading(keras.Model):
    """Reads all kinds of things beside weights."""

    shared = 1.0

    def __init__(self):
        super().__init__()
        self.read, self.out = GRU(4), Dense(3)
        self.factor, self.wide, self.more = 1.0, False, [1.0]
        self.nested = {"deep": [{"factor": 1.0}]}
        self.options = Options()
        self.array = np.ones(3, "float32")

    def call(self, inputs):
        h = self.read(inputs)
        if self.wide:
            h = ops.tanh(h)
        h = self.out(h) * self.factor * self.array
        h = helped(h) * SETTINGS["factor"] * self.options.factor * self.shared
        return h * sum(self.more) * self.nested["deep"][0]["factor"]


class Layered(keras.Model):
    """The same in a layer whose code is a program."""

    class Inside(layers.Layer):
        call, shared = Reading.call, 1.0

        def __init__(self):
            super().__init__()
            vars(self).update(
                {name: value for name, value in vars(Reading()).items() if name in _OWN}
            )
            self.read, self.out = layers.Activation("linear"), layers.Activation("linear")

    def __init__(self):
        super().__init__()
        self.read, self.inside, self.out = GRU(3), self.Inside(), Dense(3)

    def call(self, inputs):
        return self.out(self.inside(self.read(inputs)))


_OWN = ("array", "factor", "more", "nested", "options", "wide")


def change(owner, how):
    """Changes one thing that the code reads; `how` says which."""
    if how == "array in place":
        owner.array[:] *= 2
    elif how == "array":
        owner.array = owner.array * 2
    elif how == "list":
        owner.more.append(1.0)
    elif how == "nested":
        owner.nested["deep"][0]["factor"] *= 2
    elif how == "object":
        owner.options.factor *= 2
    elif how == "branch":
        owner.wide = not owner.wide
    elif how == "dict around":
        SETTINGS["factor"] *= 2
    elif how == "class":
        type(owner).shared *= 2
    elif how == "global":
        globals()["FACTOR"] *= 2
    else:
        owner.factor *= 2


HOW = (
    "number", "array", "array in place", "list", "nested", "object", "branch", "dict around",
    "global", "class",
)  # fmt: skip


def built(kind):
    keras.utils.set_random_seed(3)
    model = kind()
    model(np.zeros((2, 6, 5), "float32"))
    model.compile("sgd", "mse")
    return model, getattr(model, "inside", model)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", [Reading, Layered])
def test_between_calls(kind, how, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        monkeypatch.setitem(globals(), "FACTOR", 1.0)
        monkeypatch.setitem(SETTINGS, "factor", 1.0)
        model, owner = built(kind)
        monkeypatch.setattr(type(owner), "shared", 1.0)
        if planned == "1":
            assert all(str(node) == "the engine" for node in model.explain_plan()), how
        found = []
        for _ in range(3):
            found += [model.predict(x, batch_size=4, verbose=0) for _ in range(2)]
            found += [model.evaluate(x, y, batch_size=8, verbose=0)]
            found += [float(model.train_on_batch(x[:8], y[:8])) for _ in range(2)]
            change(owner, how)
        assert not np.allclose(found[0], found[5])
        results.append(found)
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


class Changing(keras.callbacks.Callback):
    def __init__(self, owner, how, hook):
        super().__init__()
        setattr(self, hook, lambda *_: change(owner, how))


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("how", ["number", "array in place", "branch"])
@pytest.mark.parametrize("kind", [Reading, Layered])
def test_by_callbacks(kind, how, hook, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model, owner = built(kind)
        owner.factor = 0.02  # it may be doubled eight times
        options = {"callbacks": [Changing(owner, how, hook)], "epochs": 2, "verbose": 0}
        history = model.fit(x, y, batch_size=8, shuffle=False, **options).history["loss"]
        results.append([history, model.predict(x, verbose=0, batch_size=4)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_batch_begin", "on_test_batch_end"])
def test_by_callbacks_of_evaluation(hook, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model, owner = built(Reading)
        owner.factor = 0.02
        options = {"callbacks": [Changing(owner, "number", hook)], "verbose": 0}
        history = model.fit(x, y, batch_size=8, validation_data=(x, y), **options).history
        results.append([history["val_loss"], model.evaluate(x, y, batch_size=8, **options)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5)


def test_losses_and_activations(monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        around, weights = {"slope": 1.0}, np.ones(3, "float32")
        last = Dense(3, activation=lambda values, around=around: values * around["slope"])
        model = keras.Sequential([keras.Input((6, 5)), GRU(4), last])
        model.compile(
            "sgd", lambda true, pred, w=weights: ops.mean(w * ops.square(true - pred), -1)
        )

        def changed(*_, around=around, weights=weights):
            around["slope"] *= 2
            weights[:] *= 3

        callback = keras.callbacks.LambdaCallback(on_epoch_begin=changed)
        options = {"callbacks": [callback], "epochs": 3, "verbose": 0}
        results.append(model.fit(x, y, **options).history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-5)


class Short(Reading):
    def call(self, inputs):
        if inputs.shape[1] is not None and inputs.shape[1] < 4:
            raise ValueError(f"{inputs.shape[1]} steps are too few")
        return super().call(inputs)


class Rows(Reading):
    def call(self, inputs):
        return super().call(inputs) * (2.0 if inputs.shape[0] == 8 else 1.0)


def test_lengths_that_code_looks_at(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    model, _ = built(Short)
    assert model.explain_plan().covered
    model.fit(x, y, verbose=0)
    for function in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="3 steps are too few"):
            function(x[:, :3], y, verbose=0)
    with pytest.raises(ValueError, match="3 steps are too few"):
        model.predict(x[:, :3], verbose=0, batch_size=4)
    model, _ = built(Rows)
    assert "a use of the number of rows" in str(model.explain_plan())


class Reshaping(Reading):
    def call(self, inputs):
        rows, steps, features = ops.shape(inputs)
        return super().call(ops.reshape(inputs, (rows, steps // 2, 2 * features)))


class Failing(layers.Layer):
    """Of which only numbers have a length."""

    def __init__(self):
        super().__init__()
        self.inner = Dense(5)

    def call(self, inputs):
        return self.inner(inputs) / len(inputs)


class Outer(Reading):
    def __init__(self):
        super().__init__()
        self.inside = Failing()

    def call(self, inputs):
        return super().call(self.inside(inputs))


@pytest.mark.parametrize(("kind", "back"), [(Reshaping, []), (Outer, ["failing"])])
def test_code_of_which_a_part_cannot_be_expanded(kind, back, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.clear_session()
        model, _ = built(kind)
        if planned == "1":
            report = model.explain_plan()
            assert report.covered
            assert [node.name for node in report if node.back] == back
        losses = model.fit(x, y, epochs=2, batch_size=8, verbose=0).history["loss"]
        results.append([losses, model.predict(x, batch_size=8, verbose=0)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


def test_run_eagerly_runs_the_code_in_each_step(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    ran = []

    class Told(Reading):
        def call(self, inputs):
            ran.append(1)
            return super().call(inputs)

    model, _ = built(Told)
    for eagerly, runs in ((True, 4), (False, 0)):
        model.compile("sgd", "mse", run_eagerly=eagerly)
        assert model.explain_plan().covered is not eagerly
        model.fit(x, y, batch_size=8, verbose=0)
        ran.clear()
        model.fit(x, y, batch_size=8, verbose=0)
        assert len(ran) == runs
        model.predict(x, batch_size=8, verbose=0)
        ran.clear()
        model.predict(x, batch_size=8, verbose=0)
        assert len(ran) == runs


def test_code_is_expanded_once(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    model, _ = built(Reading)
    calls, expanded = [], expanding.expanded
    monkeypatch.setattr(
        expanding, "expanded", lambda *given: calls.append(given) or expanded(*given)
    )
    model.fit(x, y, verbose=0)
    assert calls
    calls.clear()
    model.fit(x, y, verbose=0)
    model.predict(x, batch_size=4, verbose=0)
    assert not calls


def test_programs_do_not_keep_layers(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    kept = []
    for kind in (Reading, Layered):
        model, owner = built(kind)
        body = keras.Sequential([keras.Input((6, 5)), layers.Lambda(lambda v: v * 2), GRU(3)])
        body.compile("sgd", "mse")
        for each in (model, body):
            each.fit(x, y, verbose=0)
            each.predict(x, batch_size=4, verbose=0)
        kept += [weakref.ref(owner), weakref.ref(body.layers[0])]
        del model, owner, body, each
    for _ in range(3):  # the engine's plans go first
        gc.collect()
    assert [reference() for reference in kept] == [None] * 4


def test_a_batch_begins_once(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    _, y = data()
    model = keras.Sequential([keras.Input((6,)), layers.Embedding(4, 3), GRU(3)])
    model.compile("sgd", "mse")
    begun = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda step, logs: begun.append(step)
    )
    ids = np.zeros((29, 6), "int32")
    ids[9] = 7  # no row of the table
    with pytest.raises(ValueError, match="7"):
        model.fit(ids, y, batch_size=8, shuffle=False, verbose=0, callbacks=[callback])
    assert begun == [0, 1]
