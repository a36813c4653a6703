"""`class_weight` finds the class of each label by the shape of the model's outputs."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case

L = keras.layers
RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 3, 2)).astype("float32")
STEPS = np.array([[0, 2, 1], [2, 2, 2], [1, 0, 0], [0, 1, 2], [2, 0, 1]])
LAST = STEPS[:, 2]
BY_CLASS = {0: 0.5, 2: 10.0}  # class 1 weighs 1.0
FACTORS = np.array([0.5, 1.0, 10.0])
SPARSE, ONE_HOT = "sparse_categorical_crossentropy", "categorical_crossentropy"


class Subclass(keras.Model):
    """Its outputs are known from its code only."""

    def __init__(self, per_step):
        super().__init__()
        self.read = L.GRU(4, return_sequences=per_step)
        self.head = L.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.head(self.read(inputs))


def sequential(per_step, built=True):
    given = [keras.Input((3, 2))] if built else []
    head = L.Dense(3, activation="softmax")
    return keras.Sequential([*given, L.GRU(4, return_sequences=per_step), head])


def functional(per_step):
    inputs = keras.Input((None, 2))
    head = L.Dense(3, activation="softmax")
    return keras.Model(inputs, head(L.GRU(4, return_sequences=per_step)(inputs)))


MODELS = {
    "sequential": sequential,
    "unbuilt": lambda per_step: sequential(per_step, built=False),
    "functional": functional,
    "subclass": Subclass,
}
TARGETS = {
    "labels": (False, LAST, SPARSE, LAST),
    "labels with an axis": (False, LAST[:, None], SPARSE, LAST),
    "one-hot": (False, np.eye(3)[LAST], ONE_HOT, LAST),
    "labels of steps": (True, STEPS, SPARSE, STEPS),
    "labels of steps, float": (True, STEPS.astype("float32"), SPARSE, STEPS),
    "labels of steps with an axis": (True, STEPS[..., None], SPARSE, STEPS),
    "one-hot of steps": (True, np.eye(3)[STEPS], ONE_HOT, STEPS),
    "smoothed": (False, np.eye(3)[LAST] * 0.9 + 0.1 / 3, ONE_HOT, LAST),
}


class Dataset(keras.utils.PyDataset):
    def __init__(self, y):
        super().__init__()
        self.y = y

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return X, self.y


@each_case("kind", MODELS)
@each_case("case", TARGETS)
def test_class_weights_are_sample_weights(kind, case):
    per_step, y, loss, labels = TARGETS[case]
    made = MODELS[kind](per_step)
    made.compile(keras.optimizers.SGD(0.0), loss)
    found = made.fit(X, y, class_weight=BY_CLASS, verbose=0).history["loss"][0]
    weight = FACTORS[labels]
    assert found == pytest.approx(made.evaluate(X, y, sample_weight=weight, verbose=0), rel=1e-5)
    assert found != pytest.approx(made.evaluate(X, y, verbose=0))
    for losses in (
        made.fit(Dataset(y), class_weight=BY_CLASS, verbose=0).history["loss"][0],
        made.train_on_batch(X, y, class_weight=BY_CLASS),
    ):
        assert losses == pytest.approx(found, rel=1e-6)


def test_labels_that_look_like_one_hot_are_labels_where_the_outputs_say_so():
    y = np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    made = sequential(True)
    made.compile(keras.optimizers.SGD(0.0), SPARSE)
    expected = made.evaluate(X, y, sample_weight=np.where(y == 1, 10.0, 1.0), verbose=0)
    found = made.fit(X, y, class_weight={1: 10.0}, verbose=0).history["loss"][0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_binary_labels_of_steps():
    y = (STEPS > 0).astype("float32")
    made = keras.Sequential(
        [keras.Input((3, 2)), L.GRU(4, return_sequences=True), L.Dense(1, activation="sigmoid")]
    )
    made.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    expected = made.evaluate(X, y[..., None], sample_weight=np.where(y == 1, 7.0, 1.0), verbose=0)
    found = made.fit(X, y, class_weight={1: 7.0}, verbose=0).history["loss"][0]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("y", [STEPS, (STEPS > 0).astype("float32"), np.ones((5, 3))])
def test_what_may_be_both_is_refused(y):
    made = keras.Sequential(
        [keras.Input((3, 2)), L.GRU(4, return_sequences=True), L.Dense(1), L.Reshape((3,))]
    )
    made.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match=r"which of them it is cannot be determined.*\(5, 3\).*\(.*3\)"
    ):
        made.fit(X, y, class_weight={1: 7.0}, verbose=0)
    with pytest.raises(ValueError, match="Pass `sample_weight` instead"):
        made.train_on_batch(X, y, class_weight={1: 7.0})
