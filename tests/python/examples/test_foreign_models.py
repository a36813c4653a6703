"""The examples with trained models of others, where the folder with these is there."""

import runpy
import wave
from pathlib import Path

import numpy as np
import pytest

import ferrnn
import others

EXAMPLES = Path(__file__).parents[3] / "examples"
needs_models = pytest.mark.skipif(not others.MODELS.is_dir(), reason=others.ABSENT)


def example(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


class TestGuitarAmplifier:
    @needs_models
    @pytest.mark.parametrize(
        "name", ["gru", "gru_1d", "gru_torch", "lstm", "lstm_1d", "lstm_torch"]
    )
    def test_it_plays_what_keras_and_torch_computed(self, name):
        module = example("guitar_amplifier")
        folder = others.MODELS / "jatinchowdhury18+RTNeural"
        model, states = module["read_model"](folder / f"{name}.json")
        dry, wanted = (
            np.loadtxt(folder / f"{name}_{which}_python.csv").astype("float32") for which in "xy"
        )
        wet, _ = module["play"](model, states, dry)
        np.testing.assert_allclose(wet, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())

    @needs_models
    def test_it_plays_a_model_of_neural_amp_modeler(self, tmp_path, capsys):
        path = others.MODELS / "sdatkinson+NeuralAmpModelerCore" / "lstm.nam"
        out = tmp_path / "wet.wav"
        wet = example("guitar_amplifier")["main"](
            [str(path), "--seconds", "0.1", "--output", str(out)]
        )
        assert np.isfinite(wet).all()
        assert np.ptp(wet[:600]) > np.ptp(wet[-600:]) > 0  # louder when it is plucked
        assert "64 weights" in capsys.readouterr().out  # h and c are none
        with wave.open(str(out)) as file:
            assert file.getnframes() == 4800

    def test_the_order_of_weights_in_a_nam_file(self):
        """Against the equations, with random weights and states."""
        rng = np.random.default_rng(1)
        rows, bias = rng.normal(size=(8, 3)), rng.normal(size=8)
        h, c, head, end = (rng.normal(size=n) for n in (2, 2, 2, 1))
        weights = np.concatenate([each.ravel() for each in (rows, bias, h, c, head, end)])
        config = {"input_size": 1, "hidden_size": 2, "num_layers": 1}
        module = example("guitar_amplifier")
        data = {"architecture": "LSTM", "config": config, "weights": weights.tolist()}
        x = rng.normal(size=5).astype("float32")
        wet, _ = module["play"](*module["read_nam"](data), x)
        for sample, found in zip(x, wet, strict=True):
            z_i, z_f, z_g, z_o = np.split(rows @ [sample, *h] + bias, 4)
            i, f, o = (1 / (1 + np.exp(-z)) for z in (z_i, z_f, z_o))
            c = f * c + i * np.tanh(z_g)
            h = o * np.tanh(c)
            assert found == pytest.approx(head @ h + end[0], abs=2e-6)
        with pytest.raises(ValueError, match="1 numbers are left over"):
            module["read_nam"]({**data, "weights": [*data["weights"], 0.0]})

    def test_a_plucked_string_fades(self):
        sound = example("guitar_amplifier")["pluck"](0.5)
        assert len(sound) == 24_000
        assert np.abs(sound[:2000]).max() > 2 * np.abs(sound[-2000:]).max() > 0


class TestRobotActuator:
    @needs_models
    def test_the_joints_follow(self, capsys):
        path = others.MODELS / "leggedrobotics+legged_gym" / "anydrive_v3_lstm.pt"
        measured = example("robot_actuator")["main"]([str(path), "--steps", "1500"])
        assert measured["error"] < 0.06
        assert "12 joints follow" in capsys.readouterr().out

    @needs_models
    @pytest.mark.parametrize("name", ["motion_g1", "motion_h1"])
    def test_a_policy_runs(self, name):
        path = others.MODELS / "unitreerobotics+unitree_rl_gym" / f"{name}.pt"
        measured = example("robot_actuator")["main"]([str(path), "--policy", "--steps", "50"])
        assert 0 < measured["median"] <= measured["99 %"]


class TestVoiceActivity:
    @needs_models
    def test_noise_a_tone_and_silence_are_no_speech(self, capsys):
        path = others.MODELS / "snakers4+silero-vad" / "silero_vad_16k_op15.onnx"
        assert example("voice_activity")["main"]([str(path)]) == []
        assert "no speech" in capsys.readouterr().out

    @needs_models
    def test_its_stream_hands_states_and_context_on(self):
        module = example("voice_activity")
        path = others.MODELS / "snakers4+silero-vad" / "silero_vad_op18_ifless.onnx"
        model = ferrnn.from_onnx(path)
        sound = 0.1 * np.random.default_rng(2).normal(size=4 * 512).astype("float32")
        found, _ = module["listen"](model, sound)
        state, context = np.zeros((2, 1, 128), "float32"), np.zeros(64, "float32")
        for at, probability in enumerate(found):
            chunk = np.concatenate([context, sound[512 * at : 512 * (at + 1)]])
            wanted, state = model(chunk[None], state=state, sr=16_000)
            context = chunk[-64:]
            assert probability == float(wanted[0, 0])

    def test_speech_goes_on_a_little_below_where_it_began(self):
        found = example("voice_activity")["segments"](np.array([0.1, 0.6, 0.4, 0.3, 0.4, 0.9]))
        np.testing.assert_allclose(found, [[0.032, 0.096], [0.16, 0.192]])
