"""The number of the engine's threads in a process that joblib started."""

from __future__ import annotations

import multiprocessing
import os

from ferrnn._src.native import set_num_threads

_NAME, _SHARE = "LokyProcess", "OMP_NUM_THREADS"


def take_share() -> None:
    """In a worker of joblib, limits the engine to the threads that joblib leaves to each worker.

    Does nothing elsewhere, or if `FERRNN_NUM_THREADS` is set.
    """
    worker = multiprocessing.current_process().name.startswith(_NAME)
    share = os.environ.get(_SHARE, "")
    if worker and share.isdigit() and int(share) and "FERRNN_NUM_THREADS" not in os.environ:
        set_num_threads(int(share))
