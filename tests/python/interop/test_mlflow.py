"""Models in MLflow's folders and runs, and what `mlflow.pyfunc` makes of them."""

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import GRU, LSTM, Dense, Input

mlflow = pytest.importorskip("mlflow")
pd = pytest.importorskip("pandas")
flavour = pytest.importorskip("ferrnn.mlflow")

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    yield
    while mlflow.active_run():
        mlflow.end_run()


def network():
    model = ferrnn.Sequential([Input((5, 2)), LSTM(3), Dense(4)])
    model.compile("adam", loss="mse")
    return model


def samples(count=7):
    return np.random.default_rng(3).normal(size=(count, 5, 2)).astype("float32")


def trained():
    model, x = network(), samples()
    model.fit(x, x[:, :4, 0], epochs=1, verbose=0)
    return model


def test_a_saved_model_scores_arrays_and_frames_as_it_did(tmp_path):
    model, x = trained(), samples()
    flavour.save_model(model, tmp_path / "saved")
    opened = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    wanted = model.predict(x, verbose=0)
    np.testing.assert_array_equal(opened.predict(x), wanted)
    frame = pd.DataFrame(x.reshape(7, 10), index=list("abcdefg"))
    found = opened.predict(frame)
    np.testing.assert_array_equal(found.to_numpy(), wanted)
    assert list(found.columns) == [f"output_{n}" for n in range(4)]
    assert list(found.index) == list("abcdefg")
    assert opened.predict(frame[:0]).shape == (0, 4)


def test_a_saved_model_opens_as_it_was_and_trains_on(tmp_path):
    model, x = trained(), samples()
    flavour.save_model(model, tmp_path / "saved")
    again = flavour.load_model(str(tmp_path / "saved"))
    for each in (model, again):
        each.fit(x, x[:, :4, 1], epochs=2, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_logged_model_belongs_to_its_run_and_opens_by_its_address():
    model, x = trained(), samples()
    with mlflow.start_run() as run:
        found = flavour.log_model(model, "net", input_example=x[:1])
    assert found.run_id == run.info.run_id
    assert set(found.flavors) == {"ferrnn", "python_function"}
    assert found.flavors["ferrnn"]["ferrnn_version"] == ferrnn.__version__
    assert found.signature.inputs.inputs[0].shape == (-1, 5, 2)
    wanted = model.predict(x, verbose=0)
    for opened in (mlflow.pyfunc.load_model(found.model_uri), flavour.load_model(found.model_uri)):
        np.testing.assert_array_equal(opened.predict(x), wanted)


def test_requirements_name_this_version_unless_others_are_given(tmp_path):
    flavour.save_model(network(), tmp_path / "one")
    text = (tmp_path / "one" / "requirements.txt").read_text(encoding="utf-8")
    assert f"ferrnn=={ferrnn.__version__}" in text
    flavour.save_model(network(), tmp_path / "two", pip_requirements=["./ferrnn.whl"])
    text = (tmp_path / "two" / "requirements.txt").read_text(encoding="utf-8")
    assert "./ferrnn.whl" in text
    assert "ferrnn==" not in text


def test_several_inputs_come_by_name(tmp_path):
    one, other = Input((5, 2), name="one"), Input((3, 1), name="other")
    joined = ferrnn.layers.concatenate([GRU(2)(one), GRU(3)(other)])
    model = ferrnn.Model({"one": one, "other": other}, Dense(2)(joined))
    flavour.save_model(model, tmp_path / "saved")
    given = {"one": samples(), "other": samples()[:, :3, :1]}
    found = mlflow.pyfunc.load_model(str(tmp_path / "saved")).predict(given)
    np.testing.assert_array_equal(found, model.predict(given, verbose=0))


def test_errors_say_what_is_wrong(tmp_path):
    with pytest.raises(TypeError, match="`model` must be a model, received int"):
        flavour.save_model(3, tmp_path / "saved")
    flavour.save_model(network(), tmp_path / "saved")
    with pytest.raises(ValueError, match="`columns` must fill the model's input"):
        mlflow.pyfunc.load_model(str(tmp_path / "saved")).predict(pd.DataFrame({"a": [1.0]}))
    (tmp_path / "echo.py").write_text("def _load_pyfunc(path): ...", encoding="utf-8")
    options = {"code_paths": ["echo.py"], "pip_requirements": []}
    mlflow.pyfunc.save_model(str(tmp_path / "other"), loader_module="echo", **options)
    with pytest.raises(ValueError, match="`model_uri` must be a model with the flavor 'ferrnn'"):
        flavour.load_model(str(tmp_path / "other"))
