"""Custom classes and functions of every kind go through files; so do arrays in settings."""

import json

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import constraints, initializers, layers, losses, metrics, ops, optimizers, regularizers
from ferrnn.optimizers import schedules
from ferrnn.saving import custom_object_scope, register_keras_serializable

pytest.importorskip("h5py")
generator = np.random.default_rng(3)
X = generator.normal(size=(5, 4, 3)).astype("float32")
Y = generator.normal(size=(5, 1)).astype("float32")
TABLE = generator.normal(size=(3, 2)).astype("float32")


class Rows(initializers.Initializer):
    """Starts from a table, through a function."""

    def __init__(self, table, change=None):
        self.table, self.change = table, change

    def __call__(self, shape, dtype=None):
        rows = np.resize(np.asarray(self.table), shape).astype(dtype)
        return rows if self.change is None else self.change(rows)

    def get_config(self):
        return {"table": self.table, "change": self.change}


class Weighed(regularizers.Regularizer):
    """A penalty with a factor for each entry, and another one inside."""

    def __init__(self, factors, inner):
        self.factors, self.inner = factors, inner

    def __call__(self, x):
        return ops.sum(ops.square(x) * np.mean(self.factors)) + self.inner(x)

    def get_config(self):
        return {"factors": self.factors, "inner": self.inner}


class Below(constraints.Constraint):
    """No entry above a bound."""

    def __init__(self, bound):
        self.bound = bound

    def __call__(self, w):
        return np.minimum(w, np.max(self.bound))

    def get_config(self):
        return {"bound": self.bound}


class Apart(losses.Loss):
    """A loss with settings."""

    def __init__(self, power=2, name="apart", **options):
        super().__init__(name=name, **options)
        self.power = power

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred) ** self.power, axis=-1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


class Largest(metrics.Metric):
    """A metric with settings."""

    def __init__(self, scale=1.0, name="largest", **options):
        super().__init__(name=name, **options)
        self.scale = scale
        self.most = self.add_variable((), "zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(np.maximum(self.most, self.scale * abs(y_true - y_pred).max()))

    def result(self):
        return float(self.most)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class Fading(schedules.LearningRateSchedule):
    """A schedule of rates in an array."""

    def __init__(self, rates):
        self.rates = rates

    def __call__(self, step):
        return float(self.rates[min(int(step), len(self.rates) - 1)])

    def get_config(self):
        return {"rates": self.rates}


class Signs(optimizers.Optimizer):
    """Steps of one length."""

    def __init__(self, learning_rate=0.1, length=1.0, **options):
        super().__init__(learning_rate, **options)
        self.length = length

    def update(self, weight, gradient, slots, scratch, learning_rate):
        weight -= learning_rate * self.length * np.sign(gradient)

    def get_config(self):
        return {**super().get_config(), "length": self.length}


class Shifted(layers.Layer):
    """A layer with an array, a function and an initializer among its settings."""

    def __init__(self, shift, change, initializer, **options):
        super().__init__(**options)
        self.shift, self.change = shift, change
        self.initializer = initializers.get(initializer)

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), self.initializer, name="scale")

    def call(self, inputs):
        return self.change(inputs * self.scale + self.shift)

    def get_config(self):
        own = {"shift": self.shift, "change": self.change, "initializer": self.initializer}
        return {**super().get_config(), **own}


def halved(x):
    return x * 0.5


def bent(x):
    return ops.tanh(x) * 2


def late(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


OWN = [Rows, Weighed, Below, Apart, Largest, Fading, Signs, Shifted, halved, bent, late]
NAMES = {each.__name__: each for each in OWN}


def everything():
    """A model with custom code of every kind."""
    penalty = Weighed(np.array([0.1, 0.3]), regularizers.L1(0.01))
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            Shifted(np.arange(3, dtype="float32"), bent, Rows(TABLE, halved), name="shifted"),
            layers.Bidirectional(
                layers.GRU(
                    2,
                    activation=bent,
                    kernel_initializer=Rows(TABLE),
                    recurrent_regularizer=penalty,
                    return_sequences=True,
                )
            ),
            layers.RNN(layers.LSTMCell(3, kernel_constraint=Below(np.float32(0.25)))),
            layers.Dense(1, bias_constraint=halved, activity_regularizer=penalty),
        ]
    )
    model.compile(
        Signs(Fading(np.array([0.1, 0.05, 0.02])), length=0.5),
        loss=Apart(power=3),
        metrics=[Largest(scale=2.0), late, metrics.MeanMetricWrapper(late, name="mean_late")],
    )
    return model


def trained_on(model):
    model.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    return [weight.tobytes() for weight in model.get_weights()], model.evaluate(X, Y, verbose=0)


@pytest.fixture
def registered():
    """The classes and functions, registered while a test runs."""
    for each in OWN:
        register_keras_serializable("tests")(each)
    yield
    for each in OWN:
        keras.saving.get_custom_objects().pop(f"tests>{each.__name__}")


def saved(tmp_path):
    model = everything()
    model.fit(X, Y, batch_size=3, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    return model, tmp_path / "model.keras"


def test_all_kinds_load_by_custom_objects(tmp_path):
    model, path = saved(tmp_path)
    again = keras.models.load_model(path, custom_objects=NAMES)
    assert trained_on(again) == trained_on(model)


def test_all_kinds_load_in_a_scope(tmp_path):
    model, path = saved(tmp_path)
    with custom_object_scope(NAMES):
        again = keras.models.load_model(path)
    assert trained_on(again) == trained_on(model)


@pytest.mark.usefixtures("registered")
def test_all_kinds_load_by_registration(tmp_path):
    model, path = saved(tmp_path)
    again = keras.models.load_model(path)
    assert trained_on(again) == trained_on(model)
    text = keras.models.load_model(path).to_json()
    assert all(f"tests>{name}" in text for name in ("Rows", "Weighed", "Below", "Shifted", "bent"))


def test_what_nobody_knows_is_named(tmp_path):
    _, path = saved(tmp_path)
    for missing in NAMES:
        known = {name: each for name, each in NAMES.items() if name != missing}
        with pytest.raises(ValueError, match=f"{missing}' is not known: pass it in"):
            keras.models.load_model(path, custom_objects=known)


def test_json_and_copies_keep_what_is_ones_own():
    model = everything()
    again = keras.models.model_from_json(model.to_json(), custom_objects=NAMES)
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    clone = keras.models.clone_model(model)  # in one process nobody need name the classes
    assert json.loads(clone.to_json()) == json.loads(model.to_json())
    for layer in model.layers:
        assert type(type(layer).from_config(layer.get_config())) is type(layer)


KINDS = {
    initializers: Rows(TABLE, halved),
    regularizers: Weighed(np.array([1.0, 2.0]), regularizers.L2(0.5)),
    constraints: Below(np.array([0.5])),
    losses: Apart(power=1),
    metrics: Largest(scale=3.0),
    optimizers: Signs(Fading([0.5, 0.25])),
    schedules: Fading(np.array([0.5, 0.25])),
    layers: Shifted(np.ones(3), bent, Rows(TABLE), name="own"),
}
each_kind = pytest.mark.parametrize("module", KINDS, ids=lambda module: module.__name__)


def through_json(data):
    return json.loads(json.dumps(data))


@each_kind
def test_serialize_and_deserialize_of_every_kind(module):
    obj = KINDS[module]
    data = through_json(module.serialize(obj))
    assert data["registered_name"] == type(obj).__name__
    assert data["module"] is None
    made = module.deserialize(data, custom_objects=NAMES)
    assert type(made) is type(obj)
    assert through_json(module.serialize(made)) == data
    if module is not layers and module is not schedules:
        with custom_object_scope(NAMES):
            assert type(module.get(data)) is type(obj)
    with pytest.raises(ValueError, match=f"'{type(obj).__name__}' is not known"):
        module.deserialize(data)


@each_kind
@pytest.mark.usefixtures("registered")
def test_registered_names_are_written_and_found(module):
    obj = KINDS[module]
    data = through_json(keras.saving.serialize_keras_object(obj))
    assert data["registered_name"] == f"tests>{type(obj).__name__}"
    assert type(module.deserialize(data)) is type(obj)
    assert type(keras.saving.deserialize_keras_object(data)) is type(obj)


def test_names_alone_are_found_in_scopes_and_by_registration():
    with custom_object_scope({"late": late, "Small": lambda: Apart(power=1), **NAMES}):
        assert losses.get("late") is late
        assert type(metrics.get("Largest")) is Largest
        assert type(optimizers.get("Signs")) is Signs
        assert keras.activations.get("bent") is bent
        model = keras.Sequential([keras.Input((3,)), layers.Dense(1, activation="bent")])
        model.compile("Signs", loss="Apart", metrics=["late"])
    assert type(model.optimizer) is Signs
    with pytest.raises(ValueError, match="Could not interpret loss identifier: 'late'"):
        losses.get("late")


@pytest.mark.parametrize("value", [TABLE, TABLE[:, :1], np.float32(0.3), TABLE.tolist(), 2])
def test_an_array_of_constants_goes_through_files(tmp_path, value):
    table = layers.Embedding(
        3, 2, embeddings_initializer=initializers.Constant(value), trainable=False
    )
    model = keras.Sequential([keras.Input((4,), dtype="int32"), table, layers.Flatten()])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    ids = np.array([[0, 1, 2, 0]])
    np.testing.assert_array_equal(again.predict(ids, verbose=0), model.predict(ids, verbose=0))
    clone = keras.models.clone_model(again)  # made by the initializer, not by the file
    np.testing.assert_array_equal(clone.get_weights()[0], table.get_weights()[0])
    assert not clone.layers[0].trainable


def test_arrays_keep_their_dtype_and_bits():
    for dtype in ("float64", "float32", "float16", "int8", "uint64", "bool"):
        value = (generator.normal(size=(2, 3)) * 5).astype(dtype)
        data = through_json(initializers.serialize(initializers.Constant(value)))
        assert data["config"]["value"]["class_name"] == "__numpy__"
        again = initializers.deserialize(data).value
        assert (again.dtype, again.tobytes()) == (value.dtype, value.tobytes())


@each_case("dtype", ["(99,99)f4", "object", "O", "f4,(9,9)f8", "V100", None, ["f4"]])
def test_dtypes_that_are_no_names_of_numbers_are_refused(dtype):
    data = {"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}}
    with pytest.raises(ValueError, match="an array in a configuration"):
        initializers.deserialize({"class_name": "Constant", "config": {"value": data}})
    with pytest.raises(ValueError, match="an array in a configuration"):
        keras.saving.deserialize_keras_object(data)


def test_a_layer_stands_for_an_activation(tmp_path):
    dense = layers.Dense(2, activation=layers.LeakyReLU(negative_slope=0.1))
    model = keras.Sequential([keras.Input((3,)), dense])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X[:, 0]), model(X[:, 0]))
    assert again.layers[0].activation.negative_slope == pytest.approx(0.1)


def test_lambda_layers_of_named_functions_go_through_files(tmp_path):
    layer = layers.Lambda(lambda_of, arguments={"table": TABLE})
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", {"lambda_of": lambda_of})
    np.testing.assert_array_equal(again(X[:, 0]), model(X[:, 0]))
    with pytest.raises(ValueError, match="'lambda_of' is not known"):
        keras.models.load_model(tmp_path / "model.keras")


def lambda_of(x, table):
    return ops.matmul(x, table)


def test_what_has_no_name_is_refused_with_its_place(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation=lambda x: x * 2)])
    told = r"`config\.config\.layers\[1\].*activation` is a lambda.*arbitrary code execution"
    with pytest.raises(ValueError, match=told):
        model.save(tmp_path / "model.keras")
    assert not (tmp_path / "model.keras").exists()
    model = keras.Sequential([Shifted(object(), bent, "ones")])
    with pytest.raises(TypeError, match=r"shift` cannot be written to a file: expected plain data"):
        model.to_json()


def test_a_loss_without_a_name_does_not_keep_a_model_from_being_saved(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", loss=lambda y_true, y_pred: late(y_true, y_pred) * 2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="a lambda has no name"):
        keras.models.load_model(tmp_path / "model.keras")


class Dense(layers.Layer):
    """A custom layer with the name of one of ferrnn's."""

    def call(self, inputs):
        return -inputs


def test_a_name_of_ferrnns_means_ones_own_class_only_where_it_was_written(tmp_path):
    register_keras_serializable("tests")(Dense)
    try:
        ours = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        ours.save(tmp_path / "ours.keras")
        assert keras.models.load_model(tmp_path / "ours.keras").layers[0].units == 2
        own = keras.Sequential([keras.Input((3,)), Dense()])
        own.save(tmp_path / "own.keras")
        assert type(keras.models.load_model(tmp_path / "own.keras").layers[0]) is Dense
    finally:
        keras.saving.get_custom_objects().pop("tests>Dense")
    with pytest.raises(ValueError, match="'Dense' is not known"):
        keras.models.load_model(tmp_path / "own.keras")
