"""Files of Keras 1, 2 and 3 open, and compute what Keras computed with them."""

import shutil

import h5py
import numpy as np
import pytest

import ferrnn
import foreign
from each_case import each_case
from ferrnn.testing import check_vjp
from foreign import expect_close
from recording import Random

CASES = [
    (maker, name)
    for maker in ("keras1", "keras2", "keras3", "tf_keras")
    for name in foreign.names(maker)
    if "refused" not in foreign.load(maker, name).about
]
WHOLE = [
    (maker, name)
    for maker, name in CASES
    if name != "weights" and not name.endswith(("_weights", "_weights_h5"))
]
ALONE = [case for case in CASES if case not in WHOLE and case[1] != "weights"]
TRAINED = [case for case in WHOLE if "next_losses" in foreign.load(*case).about]


def opened(case, **options):
    path = foreign.path(case.about["file"])
    theano = {"backend": "theano"} if case.about.get("theano") else {}
    return ferrnn.models.load_model(path, **theano, **options)


def arrays(case, kind):
    count = sum(name.startswith(f"{kind}_") for name in case.arrays)
    return [case.arrays[f"{kind}_{i}"] for i in range(count)]


def expect_outputs(model, case):
    inputs = arrays(case, "input")
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    wanted = arrays(case, "output")
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        expect_close(output, want)


@each_case(("maker", "name"), WHOLE)
def test_whole_models_compute_what_keras_computed(maker, name):
    case = foreign.load(maker, name)
    model = opened(case)
    expect_outputs(model, case)
    if "next_0" in case.arrays:
        inputs = arrays(case, "input")
        expect_close(model(inputs[0], training=False), case.arrays["next_0"])


@each_case(("maker", "name"), ALONE)
def test_weights_alone_go_into_a_model_that_is_there(maker, name):
    case = foreign.load(maker, name)
    model = beside(case)
    model.load_weights(foreign.path(case.about["file"]))
    expect_outputs(model, case)


def beside(case):
    """The model of the same builder's whole file, with other weights."""
    folder, file = case.about["file"].split("/")
    stem = file.split(".")[0].removesuffix("_weights")
    paths = [foreign.path(f"{folder}/{stem}{end}") for end in (".h5", ".keras")]
    model = ferrnn.models.load_model(next(path for path in paths if path.exists()), compile=False)
    model.set_weights([value + 1 for value in model.get_weights()])
    return model


@each_case(("maker", "name"), TRAINED)
def test_training_goes_on_where_keras_left_it(maker, name):
    case = foreign.load(maker, name)
    model = opened(case)
    inputs = arrays(case, "input")
    targets = foreign_targets(case)
    x, y = (part if len(part) > 1 else part[0] for part in (inputs, targets))
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(2)]
    np.testing.assert_allclose(losses, case.about["next_losses"], rtol=5e-5)


def foreign_targets(case):
    """The targets that the makers drew for a model, by its name."""
    name = case.about.get("builder", case.about["file"].split("/optimizer_")[-1].split(".")[0])
    random = Random(f"{name} targets")
    return [random.normal(*output.shape, dtype="float32") for output in arrays(case, "output")]


def test_the_name_of_a_file_does_not_matter(tmp_path):
    for name in ("gru_h5", "gru_keras"):
        case = foreign.load("keras2", name)
        path = tmp_path / f"{name}.model"
        shutil.copy(foreign.path(case.about["file"]), path)
        expect_outputs(ferrnn.models.load_model(path), case)


def test_kernels_of_theano_are_flipped_only_when_asked():
    case = foreign.load("keras1", "theano")
    expect_outputs(opened(case), case)
    other = ferrnn.models.load_model(foreign.path(case.about["file"]))
    with pytest.raises(AssertionError):
        expect_outputs(other, case)


def test_keras_2_says_itself_that_it_ran_on_theano(tmp_path):
    case = foreign.load("keras2", "convolution_h5")
    path = tmp_path / "theano.h5"
    shutil.copy(foreign.path(case.about["file"]), path)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["backend"] = "theano"
        for name, group in file["model_weights"].items():
            if name.startswith("conv1d"):
                kernel = group[name]["kernel:0"]
                kernel[...] = kernel[()][::-1]
    expect_outputs(ferrnn.models.load_model(path), case)


def test_weights_go_by_the_names_of_layers_when_asked():
    case = foreign.load("keras2", "gru_weights_h5")
    layers = ferrnn.layers
    names = [layer.name for layer in opened(foreign.load("keras2", "gru_h5")).layers]
    model = ferrnn.Sequential([
        ferrnn.Input((None, 4)), layers.Dense(4, name="new"),
        layers.GRU(5, return_sequences=True, name=names[0]),
    ])  # fmt: skip
    kept = model.layers[0].get_weights()
    model.load_weights(foreign.path(case.about["file"]), by_name=True)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], kept[0])
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], case.arrays["weight_0"])


def test_weights_that_do_not_fit_change_nothing():
    path = foreign.path("keras2/gru_weights.h5")
    layers = ferrnn.layers
    model = ferrnn.Sequential([
        ferrnn.Input((None, 4)), layers.GRU(5, return_sequences=True),
        layers.GRU(4, reset_after=False), layers.Dense(2),
    ])  # fmt: skip
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"gru_1.*must have the shape \(5, 12\), received"):
        model.load_weights(path)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    with pytest.warns(UserWarning, match="is skipped"):
        model.load_weights(path, skip_mismatch=True)
    assert np.abs(model.get_weights()[0] - before[0]).max() > 0.1
    with pytest.raises(ValueError, match=r"weights of 3 layers, but the model .* has 1 layers"):
        ferrnn.Sequential([ferrnn.Input((4,)), layers.Dense(2)]).load_weights(path)


def test_the_old_hard_sigmoid_keeps_its_formula_through_a_file(tmp_path):
    x = np.linspace(-4, 4, 23, dtype="float32")
    old = ferrnn.activations.get("hard_sigmoid_keras2")
    np.testing.assert_allclose(old(x), np.clip(0.2 * x + 0.5, 0, 1), atol=1e-7)
    case = foreign.load("keras2", "options_h5")
    model = opened(case)
    model.save(tmp_path / "again.keras")
    expect_outputs(ferrnn.models.load_model(tmp_path / "again.keras"), case)


def test_the_slope_of_the_old_hard_sigmoid_is_a_fifth():
    old = ferrnn.activations.get("hard_sigmoid_keras2")

    def forward(x):
        y = old.function(x)
        return y, lambda d_y, grads: old.backward(x, y, d_y)

    check_vjp(forward, Random("slope").normal(5, 7, scale=2.0))


def test_a_model_of_weights_alone_is_asked_for():
    with pytest.raises(ValueError, match=r"only weights.*load_weights"):
        ferrnn.models.load_model(foreign.path("keras2/gru_weights.h5"))


def test_what_the_optimizer_of_keras_1_has_for_each_gate_is_joined():
    model = opened(foreign.load("keras1", "compiled"))
    with h5py.File(foreign.path("keras1/compiled.h5")) as file:
        group = file["optimizer_weights"]
        arrays = [group[name][()] for name in group.attrs["weight_names"]]
    assert model.optimizer.iterations == arrays[0] == 3
    (kernel,) = (each for each in model.trainable_weights if each.shape == (4, 20))
    found = {each.path.rpartition("_")[2]: each.numpy() for each in model.optimizer.variables
             if each.shape == kernel.shape}  # fmt: skip
    # Sorted by name: beta, gamma, the Dense layer's two, U and then W of c, f, i, o.
    for slot, start in (("momentum", 9), ("velocity", 25)):
        gates = [arrays[start + at] for at in (2, 1, 0, 3)]
        np.testing.assert_array_equal(found[slot], np.concatenate(gates, axis=1))


def test_an_optimizer_that_does_not_fit_starts_afresh_with_a_warning(tmp_path):
    path = tmp_path / "compiled.h5"
    shutil.copy(foreign.path("keras1/compiled.h5"), path)
    with h5py.File(path, "r+") as file:
        names = file["optimizer_weights"].attrs["weight_names"]
        file["optimizer_weights"].attrs["weight_names"] = names[:-1]
    with pytest.warns(UserWarning, match=r"'adam.*' starts afresh: the file has 32 variables"):
        model = ferrnn.models.load_model(path)
    assert model.compiled
    assert model.optimizer.iterations == 0


def test_the_weights_of_keras_1_alone_go_into_a_model_that_is_there():
    case = foreign.load("keras1", "weights")
    model = opened(foreign.load("keras1", "convolution"))
    model.load_weights(foreign.path(case.about["file"]))
    expect_outputs(model, case)


def test_a_damaged_file_is_told_by_its_place(tmp_path):
    path = tmp_path / "damaged.h5"
    shutil.copy(foreign.path("keras2/gru.h5"), path)
    with h5py.File(path, "r+") as file:
        del file["model_weights/gru_1/gru_1"]
    with pytest.raises(ferrnn.saving.FileError, match=r"model_weights, gru_1: the array .*kernel"):
        ferrnn.models.load_model(path)
    content = foreign.path("keras2/gru.h5").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ferrnn.saving.FileError, match="must be an HDF5 file"):
        ferrnn.models.load_model(path)
