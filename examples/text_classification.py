"""Classifies sentences from film reviews as positive or negative, from sentences of 2 to 25 words.

Words become numbers, sentences are padded to one length, and `Embedding(mask_zero=True)` makes a
mask of the padding that travels with its output. The LSTMs that read a sentence forwards and
backwards skip the padding, as does the mean over their outputs: padding changes no result.

The sentences are real (see `data/review_sentences.md`), half of each kind. Prints what
the network makes of some sentences that it was not trained on, and the share it gets right, beside
the shares of always naming the commoner class, and of naive Bayes, which looks at the words and not
at their order: 80%, 50% and 82% after 2 s on two cores of an AMD EPYC. From 3,000 sentences alone,
then, a recurrent network learns the mood of words, and little of what their order adds. With
`import keras` in place of ferrnn the same program runs on Keras.

    python examples/text_classification.py
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers

SENTENCES = Path(__file__).parent / "data" / "review_sentences.tsv"
CLASSES = ("negative", "positive")
PADDING, UNKNOWN = 0, 1

Array = np.ndarray[Any, np.dtype[Any]]


def read_sentences(count: int) -> tuple[list[str], Array]:
    """The first `count` sentences, and the place of each one's class in `CLASSES`."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    ratings = np.array([float(row["rating"]) for row in rows])
    return [row["sentence"] for row in rows], (ratings > 0).astype("int32")


class Words:
    """Numbers for the words that more than one of some sentences has."""

    def __init__(self, sentences: Sequence[str]) -> None:
        counts = Counter(word for sentence in sentences for word in set(self.split(sentence)))
        common = [word for word, count in counts.most_common() if count > 1]
        self.index = {word: at for at, word in enumerate(common, UNKNOWN + 1)}

    def __len__(self) -> int:
        return UNKNOWN + 1 + len(self.index)

    @staticmethod
    def split(sentence: str) -> list[str]:
        """Words in lower case, and the two punctuation marks that express a mood."""
        return re.findall(r"[a-z']+|[!?]", sentence.lower())

    def encode(self, sentences: Sequence[str]) -> Array:
        """`[sentences, words of the longest]`, padded with 0 at the end."""
        rows = [[self.index.get(w, UNKNOWN) for w in self.split(text)] for text in sentences]
        return keras.utils.pad_sequences(rows, padding="post", value=PADDING)


def make_model(words: int) -> keras.Sequential:
    """`[batch, time]` in, the probability that it is positive `[batch, 1]` out."""
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(words, 64, mask_zero=True),
            layers.SpatialDropout1D(0.4),
            layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate=2e-3), "binary_crossentropy", metrics=["accuracy"]
    )
    return model


def without_order(words: int, train: tuple[Array, Array], test: tuple[Array, Array]) -> float:
    """The accuracy of naive Bayes, which sees only which words a sentence has."""

    def occurs(x: Array) -> Array:
        found = np.zeros((len(x), words))
        found[np.arange(len(x))[:, np.newaxis], x] = 1
        return found[:, UNKNOWN + 1 :]

    found, y = occurs(train[0]), train[1]
    shares = [
        np.log((found[y == kind].sum(axis=0) + 1) / ((y == kind).sum() + 2)) for kind in (0, 1)
    ]
    score = occurs(test[0]) @ (shares[1] - shares[0]) + np.log(y.mean() / (1 - y.mean()))
    return float(np.mean((score > 0) == test[1]))


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, shows some sentences, and returns the accuracies on those held out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8, help="stop after so many at the latest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    sentences, y = read_sentences(options.samples)
    split = len(sentences) - len(sentences) // 4
    words = Words(sentences[:split])
    x = words.encode(sentences)
    train, test = (x[:split], y[:split]), (x[split:], y[split:])

    model = make_model(len(words))
    model.summary()
    model.fit(
        *train,
        batch_size=32,
        epochs=options.epochs,
        validation_split=0.1,
        callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
        verbose=2,
    )
    praise = model.predict(test[0], verbose=0)[:, 0]
    print("\nSentences that the network was not trained on, and what it takes them for:")
    for sentence, kind, chance in list(zip(sentences[split:], test[1], praise, strict=True))[:12]:
        guess = int(chance > 0.5)
        sure = chance if guess else 1 - chance
        mark = "" if guess == kind else f"WRONG, is {CLASSES[kind]}"
        print(f"  {CLASSES[guess]} {sure:4.0%}  {sentence} {mark}")

    accuracies = {
        "model": model.evaluate(*test, verbose=0, return_dict=True)["accuracy"],
        "commoner class": float(np.mean(test[1] == round(float(train[1].mean())))),
        "words without order": without_order(len(words), train, test),
    }
    print(f"\nRight on {len(test[1])} such sentences:")
    for name, accuracy in accuracies.items():
        print(f"  {name:20} {accuracy:.1%}")
    return accuracies


if __name__ == "__main__":
    main()
