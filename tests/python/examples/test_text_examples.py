"""The examples that read and write text learn what they say, at a small size."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras

EXAMPLES = Path(__file__).parents[3] / "examples"
DEEP = "FERRNN_DEEP" in os.environ  # learnt to the end; a third of it shows that it learns


@pytest.fixture
def load(monkeypatch):
    def loaded(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return loaded


class TestSequenceAddition:
    def test_sums_of_new_numbers_are_learnt(self, load, capsys):
        small = ["--digits", "2", "--samples", "4000", "--units", "64", "--batch", "32"]
        result = load("sequence_addition").main(
            [*small, "--epochs", "15" if DEEP else "6", "--every", "5" if DEEP else "2"]
        )
        output = capsys.readouterr().out
        # An answer has up to three digits: chance is below 0.01.
        assert result["right"] > (0.5 if DEEP else 0.02)
        assert result["digits"] > (0.8 if DEEP else 0.5)
        assert output.count(" ☑ ") + output.count(" ☒ ") == 30
        assert "of 400 sums not seen in training are answered right" in output

    def test_no_sum_is_asked_twice_and_texts_survive_the_table(self, load):
        module = load("sequence_addition")
        questions, answers = module.make_sums(3000, 2, 5)
        operands = [tuple(map(int, question.split("+"))) for question in questions]
        assert len({tuple(sorted(pair)) for pair in operands}) == len(operands) == 3000
        assert [sum(pair) for pair in operands] == [int(answer) for answer in answers]
        table = module.CharacterTable(module.CHARACTERS)
        assert table.decode(table.encode(questions)) == questions
        assert table.encode(answers).shape == (3000, 3, 12)


class TestTextClassification:
    def test_better_than_the_commoner_class(self, load, capsys):
        accuracies = load("text_classification").main(["--epochs", "3"])
        output = capsys.readouterr().out
        assert accuracies["model"] > 0.75
        assert accuracies["commoner class"] == pytest.approx(0.5, abs=0.02)
        assert 0.8 < accuracies["words without order"] < 0.84
        assert "Right on 1000 such sentences" in output

    def test_padding_changes_no_result(self, load):
        module = load("text_classification")
        keras.utils.set_random_seed(3)
        sentences, kinds = module.read_sentences(40)
        words = module.Words(sentences)
        x = words.encode(sentences)
        assert set(kinds) == {0, 1}
        lengths = (x != module.PADDING).sum(axis=1)
        assert len(set(lengths.tolist())) > 5
        model = module.make_model(len(words))
        together = model.predict(x, verbose=0)
        for row in range(0, 40, 7):
            alone = model.predict(x[row : row + 1, : lengths[row]], verbose=0)
            np.testing.assert_array_equal(alone[0], together[row])

    def test_data_are_balanced_and_of_the_lengths_promised(self, load):
        sentences, kinds = load("text_classification").read_sentences(4000)
        assert len(sentences) == len(set(sentences)) == 4000
        assert kinds.sum() == 2000
        assert {2, 25} <= {len(sentence.split()) for sentence in sentences} <= set(range(2, 26))


class TestEncoderDecoder:
    def test_new_dates_are_translated(self, load, capsys):
        small = ["--samples", "4000", "--units", "64", "--epochs", "12" if DEEP else "4"]
        result = load("encoder_decoder").main(small)
        assert result["exact"] > (0.5 if DEEP else 0.001)  # guessing is right once in 73,049
        assert result["last"] < (0.2 if DEEP else 0.5) * result["first"]
        assert "of 400 dates not seen in training" in capsys.readouterr().out

    def test_parts_of_the_model_are_the_model_itself(self, load):
        module = load("encoder_decoder")
        keras.utils.set_random_seed(2)
        texts, isos = module.make_pairs(30, 4)
        sources, targets = module.Characters(texts), module.Characters([*isos, "\t\n"])
        model = module.make_model(len(sources), len(targets), 9)
        x, y = sources.encode(texts), targets.encode(isos)
        whole = model.predict([x, y], verbose=0)
        encoder, decoder = module.take_apart(model)
        h, c = encoder.predict(x, verbose=0)
        for step in range(y.shape[1]):
            scores, h, c = decoder.predict([y[:, step : step + 1], h, c], verbose=0)
            np.testing.assert_array_equal(scores[:, 0], whole[:, step])
        parts = {id(weight) for part in (encoder, decoder) for weight in part.weights}
        assert parts == {id(weight) for weight in model.weights}

    def test_every_style_names_its_date(self, load):
        module = load("encoder_decoder")
        day = module.dt.date(1979, 5, 3)
        assert [module.written(day, style) for style in range(module.STYLES)] == [
            "3 May 1979",
            "May 3, 1979",
            "3rd of May 1979",
            "Thursday, May 3rd, 1979",
            "May 3, '79",
            "Thu 03/05/1979",
            "the 3rd May, 1979",
            "3-May-1979",
        ]
        ends = [module.written(day.replace(day=at), 2).split()[0] for at in (1, 2, 11, 12, 13, 21)]
        assert ends == ["1st", "2nd", "11th", "12th", "13th", "21st"]


class TestCharacterGeneration:
    def test_learns_more_than_frequencies_and_writes_the_same_twice(self, load, capsys):
        small = ["--characters", "60000", "--units", "64", "--window", "50", "--length", "80"]
        epochs = "10" if DEEP else "5"
        result = load("character_generation").main([*small, "--epochs", epochs])
        output = capsys.readouterr().out
        assert result["bits"]["model"] < (3.3 if DEEP else 3.8)
        assert 4.3 < result["bits"]["frequencies"] < 4.6
        assert [len(text) for text in result["texts"].values()] == [80, 80, 80]
        assert len(set(result["texts"].values())) == 3
        assert output.count("  writes: ") == (2 if DEEP else 1)
        # The program raises an error unless both wrote the same.
        for name in ("stateful model", "stream"):
            assert f"A character took the {name}" in output

    def test_windows_cover_the_text_and_targets_are_the_next_characters(self, load):
        x, y = load("character_generation").make_windows(np.arange(38), 9)
        np.testing.assert_array_equal(x.ravel(), np.arange(36))
        np.testing.assert_array_equal(y, x + 1)

    def test_temperature_sharpens_what_is_drawn(self, load):
        sample = load("character_generation").sample
        chances = np.array([0.1, 0.0, 0.6, 0.3], "float32")
        for temperature in (0.5, 1.0, 2.0):
            rng = np.random.default_rng(4)
            drawn = [sample(chances, temperature, rng) for _ in range(4000)]
            expected = chances.astype("float64") ** (1 / temperature)
            expected /= expected.sum()
            shares = np.bincount(drawn, minlength=4) / 4000
            np.testing.assert_allclose(shares, expected, atol=0.03)
            assert shares[1] == 0
