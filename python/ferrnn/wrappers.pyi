from ferrnn._src.models.sklearn_wrappers import SKLearnClassifier as SKLearnClassifier
from ferrnn._src.models.sklearn_wrappers import SKLearnRegressor as SKLearnRegressor
