"""scikit-learn's own checks of estimators."""

import pytest

checks = pytest.importorskip("sklearn.utils.estimator_checks")

from ferrnn.sklearn import (  # noqa: E402 - not without scikit-learn
    RecurrentClassifier,
    RecurrentRegressor,
    RecurrentTransformer,
)

SMALL = {"cell": "simple", "units": 8, "learning_rate": 0.03, "batch_size": 50, "random_state": 0}
# Strictly: a check that passes after all fails the test.
FAILING = {
    "check_sample_weight_equivalence_on_dense_data": (
        "batches are drawn by number of samples: one of weight 2 is in one batch, two may be in two"
    ),
}


CASES = checks.parametrize_with_checks(
    [
        RecurrentRegressor(**SMALL, epochs=30),
        RecurrentClassifier(**SMALL, epochs=15),
        RecurrentTransformer(**SMALL, epochs=1),
    ],
    expected_failed_checks=lambda estimator: FAILING,
)


# scikit-learn 1.6 gives a generator, which pytest 9 takes no more.
@pytest.mark.parametrize(CASES.args[0], list(CASES.args[1]), **CASES.kwargs)
def test_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)
