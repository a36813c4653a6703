"""Models that are trained together are those that each training alone gives."""

import pickle

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn.layers import GRU, LSTM, Dense, Dropout
from models.many import alone, build, compare, counted, groups, same, series  # noqa: F401 - a fixture


def test_each_model_is_that_of_its_training_alone():
    many = compare(build, groups(), epochs=3, batch_size=8)
    assert not np.array_equal(*(many[key].get_weights()[0] for key in list(many)[:2]))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_models(threads):
    before = keras.num_threads()
    keras.set_num_threads(threads)
    try:
        compare(build, groups(), epochs=2)
    finally:
        keras.set_num_threads(before)


def test_each_stops_early_for_itself_and_keeps_its_best_weights():
    def stop():
        return keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)

    many = compare(build, groups(), callbacks=stop, epochs=12, batch_size=4, validation_split=0.3)
    assert len({len(many.history(key).epoch) for key in many}) > 1


def test_groups_may_have_validation_data_and_settings_of_their_own():
    given = groups(3)
    x, y = series(9, 50)
    given["own"] = {
        "x": x,
        "y": y,
        "validation_data": series(40, 51),
        "epochs": 4,
        "shuffle": False,
    }
    many = compare(build, given, epochs=2, validation_batch_size=16)
    assert len(many.history("own").epoch) == 4
    assert "val_mae" in many.history("own").history


def test_build_may_take_the_key():
    def made(key):
        model = keras.Sequential([keras.Input((6, 2)), GRU(key), Dropout(0.4), Dense(1)])
        model.compile("rmsprop", loss="mae")
        return model

    many = compare(made, {n: series(20, n) for n in (3, 4, 3 + 2)}, takes_key=True, epochs=3)
    assert [many[key].layers[0].units for key in many] == [3, 4, 5]


@pytest.mark.parametrize("at_once", [1, 2])
def test_few_models_at_a_time_give_the_same(at_once, monkeypatch, together):
    monkeypatch.setattr("ferrnn._src.training.many.AT_ONCE", at_once)
    given = groups(4)
    given["series 1"] = {**dict(zip("xy", given["series 1"], strict=True)), "epochs": 5}
    keras.fit_many(build, given, seed=3, epochs=2, validation_split=0.2)
    assert max(together) == at_once
    assert sum(together) == 2 * (2 + 5 + 2 + 2)
    compare(build, given, epochs=2)


def test_ctrl_c_ends_all_of_them_and_leaves_the_session_as_it_was():
    class Interrupts(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    keras.utils.set_random_seed(5)
    wanted = np.random.rand(), keras.initializers.GlorotUniform()((2, 2))  # noqa: NPY002
    keras.utils.set_random_seed(5)
    with pytest.raises(KeyboardInterrupt):
        keras.fit_many(build, groups(3), seed=1, callbacks=[Interrupts()])
    assert np.random.rand() == wanted[0]  # noqa: NPY002
    np.testing.assert_array_equal(keras.initializers.GlorotUniform()((2, 2)), wanted[1])


def test_models_whose_losses_numpy_computes_are_trained_one_after_another():
    def made():
        model = keras.Sequential([keras.Input((6, 2)), LSTM(3), Dense(1)])
        model.compile("adam", loss="dice")
        return model

    told = "5 models were trained one after another.*series 0.*dice: the engine does not know it"
    with pytest.warns(UserWarning, match=told):
        compare(made, groups(), epochs=2)


def test_models_without_a_plan_are_trained_one_after_another_and_the_reason_is_told():
    class Mine(Dense):
        pass

    def made():
        model = keras.Sequential([keras.Input((6, 2)), LSTM(3), Mine(1, name="mine")])
        model.compile("adam", loss="mse")
        return model

    with pytest.warns(UserWarning, match="mine: plans do not support Mine"):
        compare(made, groups(2), epochs=2)


def test_weights_of_samples_count():
    given = {n: (*series(20, n), np.linspace(0.1, 2.0, 20)) for n in range(2)}
    compare(build, given, epochs=2)


def test_callbacks_that_draw_random_numbers_draw_their_own():
    class Noisy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.weights[0]
            kernel.assign_add(np.random.normal(size=kernel.shape).astype("float32"))  # noqa: NPY002

    compare(build, groups(3), epochs=3, callbacks=lambda: [Noisy()])


def test_the_session_goes_on_as_if_nothing_had_been_drawn():
    keras.utils.set_random_seed(5)
    wanted = np.random.rand(), keras.initializers.GlorotUniform()((2, 2))  # noqa: NPY002
    keras.utils.set_random_seed(5)
    keras.fit_many(build, groups(2), seed=1)
    assert np.random.rand() == wanted[0]  # noqa: NPY002
    np.testing.assert_array_equal(keras.initializers.GlorotUniform()((2, 2)), wanted[1])


def test_seeds_are_drawn_from_the_session_or_given_by_key():
    keras.utils.set_random_seed(5)
    first = keras.fit_many(build, groups(2))
    keras.utils.set_random_seed(5)
    second = keras.fit_many(build, groups(2))
    third = keras.fit_many(build, groups(2), seed=first.seeds)
    for key in first:
        same(first[key], second[key])
        same(first[key], third[key])


def test_a_group_that_fails_is_named_and_the_others_are_trained():
    given = groups(3)
    x, y = given["series 1"]
    given["series 1"] = x, y[:-1]
    with pytest.warns(RuntimeWarning, match="1 of 3 groups failed.*'series 1': ValueError"):
        many = keras.fit_many(build, given, seed=3, epochs=2)
    assert list(many) == ["series 0", "series 2"]
    assert isinstance(many.failures["series 1"], ValueError)
    with pytest.raises(KeyError, match="'series 1' was not trained: ValueError"):
        many["series 1"]
    same(many["series 2"], alone(build, given["series 2"], 5, epochs=2)[0])


def test_a_callback_that_fails_ends_its_model_alone():
    class Fails(keras.callbacks.Callback):
        def __init__(self, key):
            super().__init__()
            self.key = key

        def on_epoch_end(self, epoch, logs=None):
            if self.key == "series 2" and epoch == 1:
                raise OSError("the disk is full")

    with pytest.warns(RuntimeWarning, match="'series 2': OSError: the disk is full"):
        many = keras.fit_many(build, groups(4), epochs=3, callbacks=lambda key: [Fails(key)])
    assert list(many.failures) == ["series 2"]
    assert all(len(many.history(key).epoch) == 3 for key in many)


def test_all_failing_is_an_error():
    with pytest.raises(RuntimeError, match="all of the 2 groups failed; the first, 'series 0'"):
        keras.fit_many(build, {key: (x, y[:2]) for key, (x, y) in groups(2).items()})


def test_models_that_share_something_are_refused():
    layer = LSTM(5)

    def sharing():
        model = keras.Sequential([keras.Input((6, 2)), layer, Dense(1)])
        model.compile("adam", loss="mse")
        return model

    with pytest.warns(RuntimeWarning, match="a separate model for each group"):
        many = keras.fit_many(sharing, groups(2))
    assert list(many) == ["series 0"]


@each_case(
    ("arguments", "error", "said"),
    [
        ({"build": 3}, TypeError, "`build` must be a function"),
        ({"groups": [1]}, TypeError, "`groups` must map keys"),
        ({"epoch": 3}, TypeError, "unexpected arguments \\['epoch'\\]"),
        ({"verbose": "loud"}, ValueError, "`verbose` must be 'auto', 0, 1 or 2, received 'loud'"),
        ({"seed": -1}, ValueError, "`seed` must lie in"),
        ({"seed": "a"}, TypeError, "`seed` must be an integer"),
        ({"seed": {}}, ValueError, "received none for \\['series 0'\\]"),
        ({"groups": {1: 3}}, RuntimeError, "must be \\(x, y\\)"),
        ({"groups": {1: {"X": 3}}}, RuntimeError, "must hold arguments of `fit`"),
        ({"build": lambda: None}, RuntimeError, "must return a compiled model, received None"),
        ({"callbacks": [3]}, RuntimeError, "must be `Callback` objects"),
        ({"callbacks": keras.callbacks.CSVLogger("a")}, RuntimeError, "the same `filename`"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, said):
    with pytest.raises(error, match=said):
        keras.fit_many(**{"build": build, "groups": groups(1), **arguments})


def test_predictions_and_losses_are_those_of_each_model():
    given = groups(3)
    many = keras.fit_many(build, given, seed=1, epochs=2)
    found = many.predict_many({key: x for key, (x, _) in given.items()})
    losses = many.evaluate_many(given)
    for key, (x, y) in given.items():
        np.testing.assert_array_equal(found[key], many[key].predict(x, verbose=0))
        assert losses[key] == many[key].evaluate(x, y, verbose=0, return_dict=True)
    same_for_all = many.predict_many(given["series 0"][0])
    np.testing.assert_array_equal(same_for_all["series 0"], found["series 0"])
    with pytest.raises(KeyError, match=r"`inputs` must have keys of models.*received 'unknown'"):
        many.predict_many({"unknown": 1})


def test_one_file_keeps_them_all(tmp_path):
    given = {("shop", 3): series(20), 7: series(11, 1), None: series(9, 2)}
    many = keras.fit_many(build, given, seed=1, epochs=2)
    path = tmp_path / "many.safetensors"
    many.save(path)
    kept = keras.ManyModels.load(path)
    assert list(kept) == list(given)
    assert kept.seeds == many.seeds
    for key in given:
        same(kept[key], many[key])
        assert kept.history(key).history == many.history(key).history
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        keras.ManyModels.load(path)


def test_a_file_of_one_model_is_not_read_as_many(tmp_path):
    build().save(tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match="must be a file of many models"):
        keras.ManyModels.load(tmp_path / "one.safetensors")


def test_pickles_go_on_training():
    many = keras.fit_many(build, groups(2), seed=1, epochs=2)
    again = pickle.loads(pickle.dumps(many))
    for key, (x, y) in groups(2).items():
        same(again[key], many[key])
        keras.utils.set_random_seed(0)
        many[key].fit(x, y, verbose=0)
        keras.utils.set_random_seed(0)
        again[key].fit(x, y, verbose=0)
        same(again[key], many[key])


def recurrent(dtype="float32"):
    layers = [
        keras.Input((6, 2), dtype=dtype),
        GRU(4, return_sequences=True, dtype=dtype),
        Dropout(0.3, dtype=dtype),
        keras.layers.LayerNormalization(dtype=dtype),
        LSTM(3, dtype=dtype),
        Dense(1, dtype=dtype),
    ]
    return keras.Sequential(layers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize("flat", [False, True])
def test_validation_by_plan_gives_the_logs_that_layers_give(dtype, loss, flat, monkeypatch):
    x, y = (part.astype(dtype) for part in series(37))
    given = (x, y[:, 0]) if flat else (x, y)
    histories = []
    for planned in "10":
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(1)
        model = recurrent(dtype)
        model.compile("adam", loss=loss, metrics=["mae", "mse"])
        assert model.explain_plan().covered is (planned == "1")
        model.fit(*given, validation_data=given, epochs=2, batch_size=8, verbose=0)
        histories.append(model.history.history)
    assert histories[0] == histories[1]
    assert len(histories[0]) == 6


def test_validation_hears_of_each_batch_where_a_callback_listens():
    heard = []

    class Listens(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None):
            heard.append(batch)

        def on_test_batch_end(self, batch, logs=None):
            heard.append((batch, "loss" in logs))
            if batch == 2:
                self.model.stop_evaluating = True

    x, y = series(40)
    build().fit(x, y, batch_size=8, validation_data=(x, y), verbose=0, callbacks=[Listens()])
    assert heard == [0, (0, True), 1, (1, True), 2, (2, True)]


def test_penalties_on_weights_count_in_validation():
    def made():
        layers = [keras.Input((6, 2)), LSTM(3, kernel_regularizer="l2"), Dense(1)]
        model = keras.Sequential(layers)
        model.compile("sgd", loss="mse")
        return model

    x, y = series(20)
    model = made()
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    assert history["val_loss"][0] == model.evaluate(x, y, verbose=0)


def test_metrics_do_not_keep_the_first_training_from_its_plan(together):
    x, y = series(40)
    build().fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert together == [1]


def test_warnings_say_which_groups_they_are_about():
    given = groups(5)
    given["bad"] = (np.full((20, 6, 2), np.nan, "float32"), np.zeros((20, 1), "float32"))
    stop = keras.callbacks.EarlyStopping("val_loss")
    with pytest.warns() as caught:
        many = keras.fit_many(build, given, epochs=2, callbacks=stop, seed=1)
    told = [str(each.message) for each in caught]
    assert len(told) == 2
    assert any("became nan" in each and each.endswith("(group 'bad')") for each in told)
    several = "(groups 'series 0', 'series 1', 'series 2' and 3 more)"
    assert any("`val_loss` which is not available" in each and several in each for each in told)
    assert len(many) == 6


def test_a_key_may_differ_from_itself():
    assert len(keras.fit_many(build, {float("nan"): series(8)}, epochs=1)) == 1


@pytest.mark.filterwarnings("error")
def test_models_of_no_epochs_were_not_trained_one_after_another():
    assert len(keras.fit_many(build, groups(2), epochs=0)) == 2
