"""Arguments for the engine's functions and classes: some nearly right, some far from it."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn import _core

HUGE = [2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), 10**30]
INTS = [0, 1, 2, 3, 5, 7, 31, 100, 2**16, -1, *HUGE]
FLOATS = [0.0, 1.0, -1.0, 1e-3, 1e300, -1e300, 5e-324, np.nan, np.inf, -np.inf]
DTYPES = [*(3 * ["f4", "f8"]), ">f4", "i8", "i4", "?", "c8", "O", "U3", "f2"]
ACTIVATIONS = ["tanh", "sigmoid", "relu", "linear", "silu", "gelu", "elu", "softmax", "no such"]
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
WAYS: dict[str, Callable[[np.ndarray], np.ndarray] | None] = {
    "every second": None,
    "odd": None,
    "read-only": None,
    "backwards": lambda values: values[::-1],
    "transposed": lambda values: values.T,
    "column by column": np.asfortranarray,
    "masked": lambda values: values.view(np.ma.MaskedArray),
}
LONG = [2**12, 2**33, 2**40, 2**45, 2**55]

# What earlier calls have made, by the name of the class, for later calls to take.
Pool = dict[str, list[Any]]


def size(rng: random.Random) -> int:
    return rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 5, 8, 17, 33])


def array(rng: random.Random, shape: Any = None, dtype: str | None = None) -> np.ndarray:
    """An array of about this shape and dtype; its memory layout may be any."""
    shape = [size(rng) for _ in range(rng.randint(0, 4))] if shape is None else list(shape)
    if shape and rng.random() < 0.12:
        shape[rng.randrange(len(shape))] = size(rng)
    if dtype is None or rng.random() < 0.06:
        dtype = rng.choice(DTYPES)
    if rng.random() < 0.04 and shape:
        shape[rng.randrange(len(shape))] = rng.choice(LONG)
        if np.prod([float(n) for n in shape]) < 2**58:
            return np.broadcast_to(np.ones((), dtype), shape)
        shape = [min(n, 3) for n in shape]
    values = np.random.default_rng(rng.randrange(2**31)).integers(-3, 4, shape).astype(dtype)
    if values.dtype.kind == "f" and rng.random() < 0.1:
        values = values + values.dtype.type(rng.choice([np.nan, np.inf, 0.25]))
    return laid_out(rng, np.asarray(values))


def laid_out(rng: random.Random, values: np.ndarray) -> np.ndarray:
    """The same values, rarely contiguous."""
    way = rng.choice([*WAYS, *(25 * ["as they are"])])
    if way == "every second" and values.ndim:
        return np.repeat(values, 2, -1)[..., ::2]
    if way == "odd" and values.nbytes and values.dtype != object:
        odd = np.zeros(values.nbytes + 1, "u1")[1:].view(values.dtype).reshape(values.shape)
        odd[...] = values
        return odd
    if way == "read-only":
        values.flags.writeable = False
    change = WAYS.get(way)
    return values if change is None or not values.ndim else change(values)


def junk(rng: random.Random, pool: Pool) -> Any:
    """What no function accepts, or only another one."""
    made = [value for values in pool.values() for value in values]
    others = [None, True, "tanh", "", b"x", [], (), {}, [1, [2]], object(), np.float32(1), type]
    return rng.choice([*others, rng.choice(INTS), rng.choice(FLOATS), array(rng), *made[-6:]])


def pick(rng: random.Random, pool: Pool, name: str) -> Any:
    return rng.choice(pool[name]) if pool.get(name) else None


def arguments(rng: random.Random, name: str, pool: Pool) -> list[Any]:
    """Arguments of the function or class `name`, many of them good."""
    dtype = rng.choice(["f4", "f4", "f8"])

    def floats(*shape: int) -> np.ndarray:
        return array(rng, shape, dtype)

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.6 else None

    def flags(count: int) -> list[bool]:
        return [rng.random() < 0.5 for _ in range(count)]

    make = {
        "Weights": recurrent_weights,
        "Problem": problem,
        "rnn_forward": lambda *_: [
            pick(rng, pool, "Weights"),
            pick(rng, pool, "Problem"),
            *flags(2),
        ],
        "rnn_backward": backward,
        "convolution_forward": convolution,
        "conv_lstm_step": conv_lstm,
        "max_pool": pooling,
        "max_pool_backward": pooling_backward,
        "Stream": stream,
    }.get(name)
    if make is not None:
        return make(rng, pool, floats, maybe)
    rows, features, units = size(rng), size(rng), size(rng)
    weights = pick(rng, pool, name.split("_", maxsplit=1)[0].capitalize() + "Weights")
    if weights is not None:
        features = getattr(weights, "features", features)
        units = getattr(weights, "units", units)
    ids = array(rng, (rows, units), "i8")
    shapes = [(size(rng), size(rng)) for _ in range(rng.randint(0, 3))]

    def several() -> list[np.ndarray]:
        return [floats(*shape) for shape in shapes]

    own = several()
    rates = [rng.choice(FLOATS) for _ in range(5)]
    scales = rng.choice([None, [1.0] * len(shapes), rates])
    updates = [*flags(1), rng.choice([None, *rates]), scales]
    inputs, outputs = floats(rows, features), floats(rows, units)
    parts = {
        "DenseWeights": [floats(features, units), maybe(floats(units)), rng.choice(ACTIVATIONS)],
        "dense_forward": [weights, inputs, *flags(1)],
        "dense_backward": [weights, inputs, outputs, maybe(outputs), outputs, *flags(1)],
        "EmbeddingWeights": [inputs, *flags(1)],
        "embedding_forward": [inputs, ids],
        "embedding_backward": [ids, floats(rows, units, features), rng.choice(INTS)],
        "NormalizationWeights": [
            rng.choice([features, *INTS]),
            rates[0],
            maybe(floats(features)),
            maybe(floats(features)),
            *flags(2),
        ],
        "attention_forward": [
            (
                floats(rows, units, 1, features),
                floats(rows, units, 1, features),
                floats(rows, units, 1, features),
                rates[0],
                maybe(floats(rng.choice([1, features]))),
                maybe(floats(rows, 1, units, units)),
            ),
            None,
            *flags(1),
        ],
        "products": [
            floats(rows, units, features),
            floats(rows, features, units),
            tuple(flags(2)),
        ],
        "normalization_forward": [weights, inputs, *flags(1)],
        "normalization_backward": [weights, inputs, floats(rows, 2), inputs, tuple(flags(3))],
        "noise": [
            rng.choice(INTS),
            rng.choice(INTS),
            [rng.choice([*(5 * [1, 2, 3]), *INTS]) for _ in range(rng.randint(0, 5))],
            rng.choice([None, *INTS]),
            rates[0],
            *flags(1),
        ],
        "sgd_update": [own, rng.choice([several(), own]), maybe(several()), *rates[:2], *updates],
        "adam_update": [own, several(), several(), rng.choice([several(), own]), None, *rates[:4]],
        "squared_norms": [own],
        "penalty": [inputs, *rates[:2]],
        "penalty_gradient": [inputs, *rates[:3]],
        "mean_loss": [
            measure(rng),
            rng.choice([inputs, outputs, floats(rows)]),
            inputs,
            *flags(1),
            maybe(array(rng, (rows,), "f8")),
            *flags(1),
        ],
        "activate": [rng.choice(ACTIVATIONS), rng.choice([inputs, floats(rows, units, features)])],
        "set_num_threads": [rng.choice([1, 2, 3, *INTS])],
        "limits": [rng.choice([1, 2, 2**20, *HUGE]), [rng.choice([0, 100, 2**50, 2**63])] * rows]
        if rng.random() < 0.1
        else [2**20, [1]],
    }
    return parts.get(name, [])


def measure(rng: random.Random) -> tuple[Any, ...]:
    """What losses average, in the form that the engine takes."""
    kind = rng.choice(["squared", "absolute", "crossentropy", "logits", "hits", "odd"])
    labels = rng.choice(["", "binary", "one-hot", "numbers", "odd"])
    return kind, labels, rng.choice(FLOATS), rng.choice(FLOATS)


def recurrent_weights(rng: random.Random, _: Pool, floats: Any, maybe: Any) -> list[Any]:
    cell = rng.choice(list(GATES))
    features, units, after = (
        rng.choice([1, 2, 3, 5]),
        rng.choice([1, 2, 4, 7, 17]),
        rng.random() < 0.6,
    )
    columns = GATES[cell] * units
    bias = floats(2, columns) if cell == "gru" and after else floats(columns)
    chosen = [rng.choice(ACTIVATIONS), rng.choice(ACTIVATIONS), after]
    precision = rng.choice(["full", "full", "full", "bfloat16", "int8"])
    return [
        cell,
        floats(features, columns),
        floats(units, columns),
        maybe(bias),
        *chosen,
        precision,
    ]


def axis(rng: random.Random) -> tuple[int, ...]:
    """How windows lie over an axis, rarely far from what is possible."""
    small = [rng.choice(choices) for choices in ([1, 2, 3], [1, 2], [1, 1, 2], [0, 1], [1, 2, 3])]
    if rng.random() < 0.2:
        small[rng.randrange(len(small))] = rng.choice(INTS)
    return tuple(small)


def frames(rng: random.Random, floats: Any, lines: Any, columns: Any, features: int) -> Any:
    """Frames whose places may have the windows that the axes say."""
    places = [min(before + windows + 1, 9) for *_, before, windows in (lines, columns)]
    return floats(rng.choice([1, 1, 2, 3]), max(places[0], 1), max(places[1], 1) * features)


def convolution(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    weights, lines, columns = pick(rng, pool, "DenseWeights"), axis(rng), axis(rng)
    features = 1
    if weights is not None and rng.random() < 0.9:
        features = weights.features
        lines, columns = (1, *lines[1:]), (1, *columns[1:])
    return [weights, frames(rng, floats, lines, columns, features), lines, columns]


def conv_lstm(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    weights, inputs, lines, columns = convolution(rng, pool, floats, maybe)
    filters = weights.units // 4 if weights is not None else 1
    kernel = _core.DenseWeights(np.ones((max(filters, 1), 4 * max(filters, 1)), "f4"))
    width = max(min(columns[-1], 9) * filters, 1)
    count = inputs.shape[0] if inputs.ndim else 1
    states = [floats(min(count, 3), max(min(lines[-1], 9), 1), width) for _ in range(2)]
    pair = (weights, rng.choice([kernel, weights]))
    named = (rng.choice(ACTIVATIONS), rng.choice(ACTIVATIONS))
    return [pair, (inputs, *states), lines, columns, named]


def pooling(rng: random.Random, _: Pool, floats: Any, maybe: Any) -> list[Any]:
    lines, columns = axis(rng), axis(rng)
    features = rng.choice(INTS) if rng.random() < 0.1 else rng.choice([1, 2, 3])
    return [frames(rng, floats, lines, columns, min(abs(features), 3)), features, lines, columns]


def pooling_backward(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    inputs, features, lines, columns = pooling(rng, pool, floats, maybe)
    count = inputs.shape[0] if inputs.ndim else 1
    width = max(min(columns[-1], 9) * min(abs(features), 3), 1)
    pair = [floats(min(count, 3), max(min(lines[-1], 9), 1), width) for _ in range(2)]
    return [inputs, *pair, features, lines, columns]


def problem(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    weights = pick(rng, pool, "Weights")
    features, units = (weights.features, weights.units) if weights is not None else (2, 3)
    batch, time = size(rng), size(rng)

    def dropout(entries: int) -> Any:
        return maybe(None) or (
            floats(rng.choice([1, 3, 4]), batch, entries) if maybe(True) else None
        )

    states = maybe([floats(batch, units) for _ in range(rng.choice([1, 2]))])
    mask = maybe(array(rng, (batch, time), "?"))
    given = [
        weights,
        floats(batch, time, features),
        states,
        mask,
        dropout(features),
        dropout(units),
    ]
    return given + [rng.random() < 0.5 for _ in range(3)]


def backward(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    passed = pick(rng, pool, "passes")
    if passed is None:
        names = ("Weights", "passes", "Problem")
        return [*(pick(rng, pool, name) for name in names), floats(2, 3, 4)]
    weights, of, outputs, residuals = passed
    if rng.random() < 0.5:
        of = pick(rng, pool, "Problem")
    if rng.random() < 0.3:
        residuals = pick(rng, pool, "passes")[3]
    state = [floats(outputs.shape[0], outputs.shape[-1])]
    final = rng.choice([None, state, 2 * state, [None, None]])
    return [
        weights,
        residuals,
        of,
        outputs,
        maybe(outputs),
        final,
        rng.random() < 0.5,
        rng.random() < 0.3,
    ]


def stream(rng: random.Random, pool: Pool, floats: Any, maybe: Any) -> list[Any]:
    kinds = ["Weights", "DenseWeights", "EmbeddingWeights", "NormalizationWeights"]
    parts = [pick(rng, pool, rng.choice(kinds)) for _ in range(rng.randint(0, 3))]
    parts += [rng.choice(ACTIVATIONS)] if maybe(True) else []
    features = getattr(parts[0], "features", 1) if parts else 1
    streams = rng.choice([1, 1, 2, 3, *INTS])
    return [parts, rng.choice([features, features, *INTS]), streams, rng.random() < 0.4]


def stream_call(rng: random.Random, pool: Pool) -> tuple[Any, list[Any]] | None:
    """A call of a stream: a step, or one of its states."""
    own = pick(rng, pool, "Stream")
    if own is None:
        return None
    streams, features, units = (min(n, 40) for n in (own.streams, own.features, own.units))
    near = array(rng, (streams, features), rng.choice(["f4", "f8"]))
    inputs = rng.choice([near, near, array(rng), rng.choice(INTS), junk(rng, pool)])
    out = rng.choice([inputs, array(rng), array(rng, (streams, units), "f4")])
    states = rng.choice([[array(rng) for _ in range(rng.randint(0, 3))], junk(rng, pool)])
    rows = rng.choice([None, [0], [-1], [rng.choice(INTS)], junk(rng, pool)])
    calls = [(own, [inputs]), (own, [inputs, out]), (own._read_states, [])]
    return rng.choice([*calls, (own._write_states, [states]), (own._reset, [rows])])
