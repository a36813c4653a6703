"""Translates dates as people write them into ISO's form: "3rd of May 1979" to "1979-05-03".

Sequence to sequence with an encoder and a decoder, as in the well-known tutorial. The encoder is an
LSTM of which only the final states are kept; the decoder is another LSTM that starts from them and
is trained to give each next character when shown the true ones before it (teacher forcing). To
translate, the trained model is taken apart: an encoder that gives the states, and a decoder that
takes one character and the states, and gives the next of both.

Prints some translations of dates that were not trained on, and the share without a single wrong
character: 100.0% after 15 s on two cores of an AMD EPYC. With `import keras` in place of ferrnn the
same program runs on Keras.

    python examples/encoder_decoder.py
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn.layers import LSTM, Dense, Embedding, Input

START, STOP, LENGTH = "\t", "\n", len("1979-05-03\n")
FIRST_DAY, DAYS = dt.date(1900, 1, 1), 73049  # up to 31 December 2099
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August"]
MONTHS += ["September", "October", "November", "December"]
STYLES = 8

Array = np.ndarray[Any, np.dtype[Any]]


def written(date: dt.date, style: int) -> str:
    """A date in one of `STYLES` styles of English."""
    day, month, year = date.day, MONTHS[date.month - 1], date.year
    weekday = WEEKDAYS[date.weekday()]
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return (
        f"{day} {month} {year}",
        f"{month} {day}, {year}",
        f"{day}{ending} of {month} {year}",
        f"{weekday}, {month} {day}{ending}, {year}",
        f"{month[:3]} {day}, '{year % 100:02}" if year < 2000 else f"{month[:3]} {day}, {year}",
        f"{weekday[:3]} {day:02}/{date.month:02}/{year}",
        f"the {day}{ending} {month}, {year}",
        f"{day}-{month[:3]}-{year}",
    )[style]


def make_pairs(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Different days, each written in some style, and in ISO's."""
    rng = np.random.default_rng(seed)
    days = rng.choice(DAYS, size=count, replace=False)
    dates = [FIRST_DAY + dt.timedelta(int(day)) for day in days]
    styles = rng.integers(STYLES, size=count)
    sources = [written(date, int(style)) for date, style in zip(dates, styles, strict=True)]
    return sources, [date.isoformat() for date in dates]


class Characters:
    """The characters of some texts, numbered from 1: 0 is padding, which the network skips."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.characters = "\0" + "".join(sorted(set("".join(texts))))
        self.index = {character: at for at, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, texts: Sequence[str]) -> Array:
        """`[texts, length of the longest]`, padded with 0."""
        rows = [[self.index[character] for character in text] for text in texts]
        return keras.utils.pad_sequences(rows, padding="post")


def make_model(sources: int, targets: int, units: int) -> keras.Model:
    """`[batch, source]` and `[batch, target]` in, `[batch, target, characters]` out."""
    source = Input((None,), name="source")
    embedded = Embedding(sources, 32, mask_zero=True, name="source_embedding")(source)
    _, h, c = LSTM(units, return_state=True, name="encoder")(embedded)

    target = Input((None,), name="target")
    embedded = Embedding(targets, 16, name="target_embedding")(target)
    decoder = LSTM(units, return_sequences=True, return_state=True, name="decoder")
    outputs, _, _ = decoder(embedded, initial_state=[h, c])
    outputs = Dense(targets, activation="softmax", name="next_character")(outputs)

    model = keras.Model([source, target], outputs)
    model.compile(
        keras.optimizers.Adam(learning_rate=4e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def take_apart(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The encoder, and a decoder with its states as inputs and outputs: no weight is copied."""
    source, target = model.input
    _, h, c = model.get_layer("encoder").output
    encoder = keras.Model(source, [h, c])

    decoder_lstm = model.get_layer("decoder")
    states = [Input((decoder_lstm.units,)), Input((decoder_lstm.units,))]
    embedded = model.get_layer("target_embedding").output
    outputs, h, c = decoder_lstm(embedded, initial_state=states)
    outputs = model.layers[-1](outputs)
    return encoder, keras.Model([target, *states], [outputs, h, c])


class Translator:
    """Feeds each character that the decoder finds likeliest back to it."""

    def __init__(self, model: keras.Model, sources: Characters, targets: Characters) -> None:
        self.encoder, self.decoder = take_apart(model)
        self.sources, self.targets = sources, targets

    def __call__(self, texts: Sequence[str]) -> list[str]:
        h, c = self.encoder.predict_on_batch(self.sources.encode(texts))
        last = self.targets.encode([START] * len(texts))
        found = []
        for _ in range(LENGTH):
            scores, h, c = self.decoder.predict_on_batch([last, h, c])
            last = scores.argmax(axis=-1)
            found.append(last[:, 0])
        rows = np.stack(found, axis=1)
        characters = self.targets.characters
        return ["".join(characters[at] for at in row).split(STOP)[0] for row in rows]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, translates, and returns the share of unseen dates that are translated exactly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    texts, isos = make_pairs(options.samples, options.seed)
    sources, targets = Characters(texts), Characters([START, STOP, *isos])
    x = sources.encode(texts)
    y = targets.encode([START + iso + STOP for iso in isos])
    split = len(texts) - len(texts) // 10

    model = make_model(len(sources), len(targets), options.units)
    model.summary()
    history = model.fit(
        [x[:split], y[:split, :-1]],  # the decoder sees the character before the one to give
        y[:split, 1:],
        batch_size=64,
        epochs=options.epochs,
        validation_data=([x[split:], y[split:, :-1]], y[split:, 1:]),
        verbose=2,
    )

    translate = Translator(model, sources, targets)
    found = translate(texts[split:])
    right = [a == b for a, b in zip(found, isos[split:], strict=True)]
    print()
    for text, iso, good in list(zip(texts[split:], found, right, strict=True))[:12]:
        print(f"{text:>30} -> {iso} {'' if good else 'WRONG'}")
    exact = float(np.mean(right))
    print(f"{exact:.1%} of {len(right)} dates not seen in training are translated exactly.")
    start = time.perf_counter()
    translate(texts[:1])
    print(f"One date alone takes {1e3 * (time.perf_counter() - start):.1f} ms.")
    return {
        "exact": exact,
        "first": history.history["loss"][0],
        "last": history.history["loss"][-1],
    }


if __name__ == "__main__":
    main()
