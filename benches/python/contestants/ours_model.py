"""ferrnn through `model.predict_on_batch`, beside the bare layer call."""

from __future__ import annotations

from cases import Data, Job

import ferrnn
from contestants import Prepared
from contestants.ours import LAYERS


class Contestant:
    """A Sequential of the one layer."""

    def __init__(self, threads: int) -> None:
        self.version = ferrnn.__version__
        ferrnn.set_num_threads(threads)

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Inference over whole sequences only."""
        if job.mode != "call":
            return None
        layer = getattr(ferrnn.layers, LAYERS[job.cell])(job.units, return_sequences=True)
        model = ferrnn.Sequential([ferrnn.Input((job.time, job.features)), layer])
        model.set_weights([data.kernel, data.recurrent_kernel, data.bias])

        def run() -> object:
            return model.predict_on_batch(data.inputs)

        return Prepared(run, lambda: [model.predict_on_batch(data.inputs)])
