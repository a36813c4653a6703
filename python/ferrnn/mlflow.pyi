from ferrnn._src.interop.mlflow_flavour import _load_pyfunc as _load_pyfunc
from ferrnn._src.interop.mlflow_flavour import load_model as load_model
from ferrnn._src.interop.mlflow_flavour import log_model as log_model
from ferrnn._src.interop.mlflow_flavour import save_model as save_model
