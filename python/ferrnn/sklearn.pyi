from ferrnn._src.estimators.classifier import RecurrentClassifier as RecurrentClassifier
from ferrnn._src.estimators.regressor import RecurrentRegressor as RecurrentRegressor
from ferrnn._src.estimators.transformer import RecurrentTransformer as RecurrentTransformer
from ferrnn._src.estimators.validating import cross_validate as cross_validate
