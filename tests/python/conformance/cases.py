"""Cases that run every cell through every engine: random weights, states and masks of any size."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from ferrnn import Call
from ferrnn._src.cells.protocol import DropoutMasks
from ferrnn._src.sequence import fused
from ferrnn.layers import (
    CoupledLSTMCell,
    GRUCell,
    IndRNNCell,
    LSTMCell,
    MinimalGatedCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
)

BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign")
GROWING = ("relu", "linear", "softplus", "elu", "selu", "silu", "gelu", "exponential")
# One of the two is bounded, so that states do not explode.
ACTIVATIONS = (
    ("tanh", "sigmoid"),
    *((growing, gate) for growing, gate in zip(GROWING, itertools.cycle(BOUNDED), strict=False)),
    *((bounded, gate) for bounded, gate in zip(itertools.cycle(BOUNDED), GROWING, strict=False)),
    ("sigmoid", "tanh"),
    ("hard_sigmoid", "softsign"),
    ("softsign", "hard_sigmoid"),
    ("tanh", "hard_sigmoid_keras2"),
)
EXTRA_CELLS = {
    "coupled_lstm": CoupledLSTMCell,
    "minimal_gated": MinimalGatedCell,
    "peephole_lstm": PeepholeLSTMCell,
    "ind_rnn": IndRNNCell,
    "projected_lstm": ProjectedLSTMCell,
}
CELLS = ("lstm", "gru", "gru_reset_before", "simple_rnn", "stack", *EXTRA_CELLS)
FACTORS = {
    "cell": CELLS[:5],
    "activations": ACTIVATIONS,
    "bias": (True, False),
    "mask": ("none", "right", "left", "holes"),
    "zeroed": (False, True),
    "backwards": (False, True),
    "initial_state": (False, True),
    "dropout": ("none", "inputs", "recurrent", "shared", "per_gate"),
    "sequences": (True, False),
    "units": (1, 3, 16, 17, 100),
    "batch": (1, 5, 33),
    "time": (1, 2, 9),
    "features": (1, 7, 16),
    "clip": (None, 1.2),
}
PRODUCT = {
    "cell": CELLS[:4],
    "units": (1, 3, 16, 17),
    "batch": (1, 5, 33),
    "time": (1, 2, 9),
    ("mask", "zeroed"): (
        ("none", False),
        ("right", False),
        ("right", True),
        ("holes", False),
        ("holes", True),
    ),
    "backwards": (False, True),
    "initial_state": (False, True),
    "dropout": ("none", "shared", "per_gate"),
}


@dataclass(frozen=True)
class Case:
    """One setting of every factor."""

    cell: str = "lstm"
    activations: tuple[str, str] = ("tanh", "sigmoid")
    bias: bool = True
    mask: str = "none"
    zeroed: bool = False
    backwards: bool = False
    initial_state: bool = True
    dropout: str = "none"
    sequences: bool = True
    units: int = 3
    batch: int = 5
    time: int = 4
    features: int = 7
    clip: float | None = None
    dtype: str = field(default="float64", kw_only=True)

    @property
    def masked(self):
        return self.mask != "none"

    def rng(self, purpose):
        sizes = [self.units, self.batch, self.time, self.features, CELLS.index(self.cell)]
        return np.random.default_rng([purpose, *sizes])

    def make_cell(self):
        if self.cell == "stack":
            below = self._single("gru", self.units + 2, self.features)
            above = self._single("lstm", self.units, self.units + 2)
            stack = StackedRNNCells([below, above], dtype=self.dtype)
            stack.built = True
            return stack
        return self._single(self.cell, self.units, self.features)

    def _single(self, kind, units, features):
        activation, gate = self.activations
        options = {"use_bias": self.bias, "activation": activation, "dtype": self.dtype}
        options |= {"clip": self.clip}
        options |= {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
        if kind == "simple_rnn":
            cell = SimpleRNNCell(units, **options)
        elif kind == "ind_rnn":
            cell = IndRNNCell(units, **options)
        elif kind == "projected_lstm":
            outputs = (units + 2) // 2
            cell = ProjectedLSTMCell(units, outputs, recurrent_activation=gate, **options)
        elif kind in EXTRA_CELLS:
            cell = EXTRA_CELLS[kind](units, recurrent_activation=gate, **options)
        elif kind == "lstm":
            cell = LSTMCell(units, recurrent_activation=gate, **options)
        else:
            options["reset_after"] = kind == "gru"
            cell = GRUCell(units, recurrent_activation=gate, **options)
        cell.build((None, features))
        rng = self.rng(units)
        # So that gates are neither shut nor linear, and long products do not grow states.
        # A gate without a bound lets the states of these cells grow with the square of their sums,
        # and an exponential of a state with its exponential.
        unbounded = gate in GROWING or activation == "exponential"
        steep = kind in EXTRA_CELLS and unbounded
        size = 0.8 if not self.growing else 0.05 if steep or gate == "exponential" else 0.2
        scales = [size / np.sqrt(features), size / np.sqrt(units), 0.02 if steep else 0.3]
        scales.append(scales[-1])
        for parameter, scale in zip(cell.weights, scales, strict=False):
            drawn = rng.normal(size=parameter.shape) + self._lift
            parameter.assign(self._alive(drawn) * scale)
        return cell

    @property
    def growing(self):
        """Whether an activation has no bound."""
        return any(name in GROWING for name in self.activations)

    @property
    def _lift(self):
        """Shifts weights and inputs up, so that a few relu units are not all dead."""
        return 1.0 if "relu" in self.activations else 0.0

    def _alive(self, numbers):
        """The numbers; for a single relu unit positive ones, so that it is not dead."""
        return np.abs(numbers) if self.units == 1 and self._lift else numbers

    def make_inputs(self):
        rng = self.rng(1001)
        inputs = rng.normal(size=(self.batch, self.time, self.features)) + self._lift
        return self._alive(inputs).astype(self.dtype)

    def make_states(self, cell):
        if not self.initial_state:
            return None
        rng = self.rng(1002)
        shapes = [state.shape for state in _flat(cell.get_initial_state(self.batch))]
        drawn = (0.7 * self._alive(rng.normal(size=shape)) for shape in shapes)
        return tuple(state.astype(self.dtype) for state in drawn)

    def make_mask(self):
        if not self.masked:
            return None
        rng = self.rng(1003)
        if self.mask == "holes":
            mask = rng.random((self.batch, self.time)) < 0.6
            mask[-1] = True  # something must reach the loss
            return mask
        lengths = rng.integers(0, self.time + 1, self.batch)
        lengths[-1] = self.time
        steps = np.arange(self.time)[None, :]
        if self.mask == "left":
            steps = self.time - 1 - steps
        return steps < lengths[:, None]

    def make_dropout(self, cell):
        if self.cell == "stack":
            sizes = [self.features, cell.cells[0].units]
            return tuple(
                self._masks(part, size) for part, size in zip(cell.cells, sizes, strict=True)
            )
        return self._masks(cell, self.features)

    def _masks(self, cell, features):
        if self.dropout == "none":
            return None
        rng = self.rng(1004 + features)
        count = cell.gates if self.dropout in ("per_gate", "recurrent") else 1

        def draw(width):
            kept = rng.random((count, self.batch, width)) < 0.7
            kept[:, -1, 0] = True
            return (kept / 0.7).astype(self.dtype)

        inputs = draw(features) if self.dropout != "recurrent" else None
        recurrent = draw(cell.recurrent_shape[0]) if self.dropout != "inputs" else None
        return DropoutMasks(inputs, recurrent)

    def idle(self, cell):
        """The weights that no gradient can reach: those of h, when it is zero all along."""
        if self.initial_state or self.time > 1:
            return []
        cells = cell.cells if self.cell == "stack" else [cell]
        return [part.recurrent_kernel for part in cells]

    def forward(self, scan, cell, *, differentiable=True):
        """A function of inputs and states, for `check_vjp`."""
        mask, dropout = self.make_mask(), self.make_dropout(cell)
        call = Call(differentiable=differentiable)

        def forward(arrays):
            inputs, *states = arrays
            outputs, final, scan_vjp = scan(
                cell,
                inputs,
                tuple(states) or None,
                call,
                mask=mask,
                go_backwards=self.backwards,
                return_sequences=self.sequences,
                zero_output_for_mask=self.zeroed,
                dropout=dropout,
            )

            def vjp(d_all, grads):
                d_inputs, d_states = scan_vjp(d_all[0], d_all[1:], grads)
                return (d_inputs, *(d_states if states else ()))

            return (outputs, *final), vjp

        return forward

    def arrays(self, cell):
        return (self.make_inputs(), *(self.make_states(cell) or ()))


def covering(factors, strength):
    """Rows in which any settings of so many factors meet, fewest first; deterministic."""
    counts = [len(settings) for settings in factors.values()]
    missing = {
        tuple(zip(some, settings, strict=True))
        for some in itertools.combinations(range(len(counts)), strength)
        for settings in itertools.product(*(range(counts[index]) for index in some))
    }
    while missing:
        row = _row_from(min(missing), counts, missing)
        missing -= set(itertools.combinations(sorted(row.items()), strength))
        yield {name: factors[name][row[index]] for index, name in enumerate(factors)}


def _row_from(settings, counts, missing):
    """A row with the given settings, then greedily the setting that covers most missing ones."""
    row = dict(settings)
    for index, count in enumerate(counts):
        if index in row:
            continue

        def gain(setting, index=index):
            others = itertools.combinations(row.items(), len(settings) - 1)
            return sum(tuple(sorted((*each, (index, setting)))) in missing for each in others)

        row[index] = max(range(count), key=lambda s: (gain(s), -((s + len(missing)) % count)))
    return row


def _flat(states):
    return [leaf for part in states for leaf in (part if isinstance(part, list) else [part])]


# The cells that the engine runs.
IN_ENGINE = tuple(name for name in CELLS if fused.supports(Case(name).make_cell()))
EXTRA_FACTORS = {**FACTORS, "cell": tuple(EXTRA_CELLS)}
PAIRWISE = [Case(**row) for each in (FACTORS, EXTRA_FACTORS) for row in covering(each, 2)]
