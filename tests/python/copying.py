"""The ways in which objects are copied and serialized."""

import copy
import io
import pickle

import pytest

cloudpickle = pytest.importorskip("cloudpickle")
joblib = pytest.importorskip("joblib")


def _through_joblib(obj):
    buffer = io.BytesIO()
    joblib.dump(obj, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "old pickle": lambda obj: pickle.loads(pickle.dumps(obj, protocol=2)),
    "cloudpickle": lambda obj: pickle.loads(cloudpickle.dumps(obj)),
    "joblib": _through_joblib,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
