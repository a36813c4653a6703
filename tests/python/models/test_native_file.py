"""ferrnn's own format keeps all that a model is."""

import numpy as np
import pytest

import ferrnn
from ferrnn import layers
from ferrnn._src.files.safetensors import write
from ferrnn._src.files.sums import summed
from ferrnn._src.models import native_file
from ferrnn.saving import FileError, load_streams

RNG = np.random.default_rng(4)


def shared_and_nested():
    inputs = ferrnn.Input((6, 3), name="words")
    shared = layers.GRU(4, return_sequences=True, name="shared")
    inner = ferrnn.Sequential([layers.Dense(5, "tanh"), layers.BatchNormalization()], name="inner")
    twice = layers.Bidirectional(layers.LSTM(2))(shared(inner(inputs)) + shared(inner(inputs)))
    return ferrnn.Model(inputs, [layers.Dense(2, name="left")(twice), twice])


def of_ids():
    return ferrnn.Sequential(
        [ferrnn.Input((None,), dtype="int32"), layers.Embedding(7, 3, mask_zero=True),
         layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]), layers.Dense(2)]
    )  # fmt: skip


def in_double():
    inputs = ferrnn.Input((None, 3), dtype="float64")
    return ferrnn.Sequential([inputs, layers.PeepholeLSTM(4, dtype="float64")])


@ferrnn.saving.register_keras_serializable("native_file")
class Own(ferrnn.Model):
    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units
        self.read = layers.LSTM(units)
        self.heads = [layers.Dense(1), layers.Dense(2)]

    def call(self, inputs):
        read = self.read(inputs)
        return [head(read) for head in self.heads]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


MODELS = [
    (shared_and_nested, RNG.normal(size=(5, 6, 3))),
    (of_ids, RNG.integers(7, size=(5, 6))),
    (in_double, RNG.normal(size=(2, 4, 3))),
    (Own, RNG.normal(size=(2, 4, 3)).astype("float32")),
]


def randomized(model, x):
    model(x)
    model.set_weights([RNG.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


def leaves(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize(("make", "x"), MODELS)
def test_a_model_comes_back_with_the_same_bits(make, x, tmp_path):
    model = randomized(make(), x)
    model.save(tmp_path / "m.safetensors")
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    assert type(again) is type(model)
    for found, expected in zip(leaves(again(x)), leaves(model(x)), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_how_weights_are_kept_for_inference_comes_back(tmp_path):
    stack = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)
    both = layers.Bidirectional(layers.GRU(5, return_sequences=True), name="both")
    model = ferrnn.Sequential([ferrnn.Input((None, 3)), stack, both, layers.LSTM(6)])
    stack.cell.cells[1].inference_precision = "bfloat16"
    both.backward_layer.inference_precision = "int8"
    model.layers[2].inference_precision = "int8"
    x = RNG.normal(size=(3, 7, 3)).astype("float32")
    path = tmp_path / "m.safetensors"
    model.save(path, probe=x)
    same = ferrnn.load_model(path)
    np.testing.assert_array_equal(same.predict(x, verbose=0), model.predict(x, verbose=0))
    assert same.layers[0].cell.cells[0].inference_precision == "full"
    assert same.layers[0].cell.cells[1].inference_precision == "bfloat16"
    assert same.layers[1].forward_layer.inference_precision == "full"
    assert same.layers[1].backward_layer.inference_precision == "int8"
    assert same.layers[2].inference_precision == "int8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"layers/lstm/cell": "int4"}', "layers/lstm/cell.*'full', 'bfloat16' or 'int8'.*'int4'"),
        ('{"layers/gru/cell": "int8"}', "no recurrent cell at .*layers/gru/cell"),
        ('{"layers/lstm/cell": 8}', "received 8"),
        ("[]", "JSON object"),
    ],
)
def test_a_file_whose_precisions_are_none_is_refused(text, message, tmp_path):
    model = ferrnn.Sequential([ferrnn.Input((None, 3)), layers.LSTM(2, name="lstm")])
    arrays, texts = native_file.described(model)
    with (tmp_path / "m.safetensors").open("wb") as file:
        write(file, arrays, summed(arrays, {**texts, "inference_precision": text}))
    with pytest.raises(FileError, match=f"inference_precision.*{message}"):
        ferrnn.load_model(tmp_path / "m.safetensors")


def test_the_file_is_known_by_its_contents(tmp_path):
    model = randomized(of_ids(), np.ones((1, 2), "int32"))
    model.save(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").rename(tmp_path / "m.keras")
    again = ferrnn.load_model(tmp_path / "m.keras")
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_training_goes_on_with_the_same_bits(tmp_path):
    x, y = RNG.normal(size=(20, 6, 3)), RNG.normal(size=(20, 1))
    rate = ferrnn.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)
    model = ferrnn.Sequential([layers.LSTM(4), layers.Dense(1)])
    model.compile(ferrnn.optimizers.Adam(rate, use_ema=True), "mse", metrics=["mae"])
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(tmp_path / "m.safetensors")
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    for each in (model, again):
        each.fit(x, y, epochs=2, verbose=0, shuffle=False)
    assert [v.dtype for v in again.optimizer.variables] == [
        v.dtype for v in model.optimizer.variables
    ]
    for found, expected in zip(
        [*again.get_weights(), *again.optimizer.variables],
        [*model.get_weights(), *model.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize(("include", "compiles"), [(False, True), (True, False)])
def test_the_optimizer_can_be_left_out(include, compiles, tmp_path):
    model = ferrnn.Sequential([ferrnn.Input((4, 3)), layers.LSTM(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4, 3)), np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "m.safetensors", include_optimizer=include)
    again = ferrnn.load_model(tmp_path / "m.safetensors", compile=compiles)
    assert not again.compiled
    np.testing.assert_array_equal(again(np.ones((1, 4, 3))), model(np.ones((1, 4, 3))))


def test_an_optimizer_that_was_not_built(tmp_path):
    model = ferrnn.Sequential([ferrnn.Input((4, 3)), layers.LSTM(2)])
    model.compile("adam", "mse")
    model.save(tmp_path / "m.safetensors")
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    assert isinstance(again.optimizer, ferrnn.optimizers.Adam)
    assert again.optimizer.iterations == 0
    again.fit(np.ones((4, 4, 3)), np.ones((4, 2)), verbose=0)
    assert again.optimizer.iterations == 1


def test_states_of_stateful_layers_are_kept(tmp_path):
    stacked = layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], stateful=True)
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True, stateful=True))
    model = ferrnn.Sequential([ferrnn.Input(batch_shape=(2, 5, 3)), both, stacked])
    x = RNG.normal(size=(2, 5, 3))
    model(x)
    model.save(tmp_path / "m.safetensors")
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again(x), model(x))


def test_streams_go_on_where_they_stood(tmp_path):
    model = ferrnn.Sequential(
        [ferrnn.Input((None, 3)), layers.LSTM(4, return_sequences=True), layers.GRU(2)]
    )
    one, many = model.stream(), model.stream(3)
    one(RNG.normal(size=3))
    many(RNG.normal(size=(3, 3)))
    model.save(tmp_path / "m.safetensors", streams={"one": one, "many": many})
    again = load_streams(tmp_path / "m.safetensors")
    assert list(again) == ["one", "many"]
    x = RNG.normal(size=(3, 3))
    np.testing.assert_array_equal(again["one"](x[0]), one(x[0]))
    np.testing.assert_array_equal(again["many"](x), many(x))
    assert ferrnn.load_model(tmp_path / "m.safetensors").count_params() == model.count_params()
    model.save(tmp_path / "m.safetensors")
    assert load_streams(tmp_path / "m.safetensors") == {}


def test_vocabularies_and_what_layers_learned_of_data_are_kept(tmp_path):
    texts = np.array([["the cat sat"], ["the dog ran and ran"], ["a cat"]])
    vectors = layers.TextVectorization(output_mode="tf_idf")
    vectors.adapt(texts)
    words = ferrnn.Sequential([ferrnn.Input((1,), dtype="string"), vectors, layers.Dense(2)])
    words.save(tmp_path / "m.safetensors")
    again = ferrnn.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again(texts), words(texts))

    scaled = layers.Normalization()
    scaled.adapt(RNG.normal(3, 2, size=(20, 4)))
    numbers = ferrnn.Sequential([ferrnn.Input((4,)), scaled, layers.Dense(2)])
    numbers.save(tmp_path / "m.safetensors")
    x = RNG.normal(size=(3, 4))
    np.testing.assert_array_equal(ferrnn.load_model(tmp_path / "m.safetensors")(x), numbers(x))


def test_a_checkpoint_may_be_of_this_format(tmp_path):
    model = ferrnn.Sequential([ferrnn.Input((4, 3)), layers.LSTM(2)])
    model.compile("sgd", "mse")
    save = ferrnn.callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors")
    model.fit(np.ones((4, 4, 3)), np.ones((4, 2)), verbose=0, epochs=2, callbacks=[save])
    again = ferrnn.load_model(tmp_path / "2.safetensors")
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_a_model_without_weights_is_saved_with_a_warning(tmp_path):
    model = ferrnn.Sequential([layers.LSTM(2)])
    with pytest.warns(UserWarning, match="saved before it is built"):
        model.save(tmp_path / "m.safetensors")
    assert not ferrnn.load_model(tmp_path / "m.safetensors").built


def test_weights_of_others_are_left_to_from_torch(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"w": np.ones((2, 3), "float32")}, tmp_path / "m.safetensors")
    with pytest.raises(FileError, match=r"only weights: `ferrnn\.from_torch.*\['w'\]"):
        ferrnn.load_model(tmp_path / "m.safetensors")


def test_arguments_that_do_not_go_together(tmp_path):
    model = ferrnn.Sequential([ferrnn.Input((4, 3)), layers.LSTM(2)])
    path = tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match=r"`zipped` is only for `\.keras` files"):
        model.save(path, zipped=False)
    with pytest.raises(ValueError, match=r"`streams` can only be stored in `\.safetensors`"):
        model.save(tmp_path / "m.keras", streams={"a": model.stream()})
    with pytest.raises(TypeError, match="`streams` must be a dict of streams by name"):
        model.save(path, streams=[model.stream()])
    with pytest.raises(ValueError, match="must not contain slashes, received 'a/b'"):
        model.save(path, streams={"a/b": model.stream()})
    assert not path.exists()
    model.save(path)
    with pytest.raises(FileExistsError):
        model.save(path, overwrite=False)
    with pytest.raises(ValueError, match=r"must be a `\.safetensors` file of ferrnn"):
        load_streams(tmp_path)


def test_weights_of_a_file_go_into_a_model_of_the_same_layers(tmp_path):
    def made(units=3):
        return ferrnn.Sequential(
            [ferrnn.Input((None, 2)), ferrnn.layers.LSTM(units, name="m"), ferrnn.layers.Dense(1)]
        )

    first, second, x = made(), made(), np.ones((2, 4, 2), "float32")
    first.save(tmp_path / "m.safetensors", probe=x)
    assert not np.array_equal(first(x), second(x))
    second.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(first(x), second(x))
    with pytest.raises(ValueError, match="must have the shape"):
        made(4).load_weights(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"cannot be used for `\.safetensors` files"):
        second.load_weights(tmp_path / "m.safetensors", by_name=True)


def test_weights_of_a_trained_model_go_into_one_that_was_not(tmp_path):
    def made(compiled=True):
        model = ferrnn.Sequential([ferrnn.Input((None, 2)), ferrnn.layers.GRU(3, name="m")])
        if compiled:
            model.compile("adam", "mse")
        return model

    trained, x = made(), np.ones((2, 4, 2), "float32")
    trained.fit(x, np.zeros((2, 3)), verbose=0)
    trained.save(tmp_path / "m.safetensors")
    for fresh in (made(), made(compiled=False)):
        fresh.load_weights(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(fresh(x), trained(x))
    built = made()
    built.optimizer.build(built.trainable_weights)
    built.load_weights(tmp_path / "m.safetensors")
    assert int(built.optimizer.iterations) == 1
