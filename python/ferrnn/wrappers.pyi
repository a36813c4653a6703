from ferrnn._src.models.sklearn_wrappers import SKLearnClassifier as SKLearnClassifier
from ferrnn._src.models.sklearn_wrappers import SKLearnRegressor as SKLearnRegressor
from ferrnn._src.models.sklearn_wrappers import SKLearnTransformer as SKLearnTransformer
