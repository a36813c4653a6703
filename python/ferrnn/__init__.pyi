from ferrnn import (
    activations as activations,
)
from ferrnn import (
    backend as backend,
)
from ferrnn import (
    callbacks as callbacks,
)
from ferrnn import (
    config as config,
)
from ferrnn import (
    constraints as constraints,
)
from ferrnn import (
    data as data,
)
from ferrnn import (
    datasets as datasets,
)
from ferrnn import (
    dtype_policies as dtype_policies,
)
from ferrnn import (
    initializers as initializers,
)
from ferrnn import (
    inspection as inspection,
)
from ferrnn import (
    layers as layers,
)
from ferrnn import (
    losses as losses,
)
from ferrnn import (
    metrics as metrics,
)
from ferrnn import (
    mixed_precision as mixed_precision,
)
from ferrnn import (
    models as models,
)
from ferrnn import (
    ops as ops,
)
from ferrnn import (
    optimizers as optimizers,
)
from ferrnn import (
    preprocessing as preprocessing,
)
from ferrnn import (
    random as random,
)
from ferrnn import (
    regularizers as regularizers,
)
from ferrnn import (
    saving as saving,
)
from ferrnn import (
    sklearn as sklearn,
)
from ferrnn import (
    testing as testing,
)
from ferrnn import (
    tree as tree,
)
from ferrnn import (
    utils as utils,
)
from ferrnn import (
    wrappers as wrappers,
)
from ferrnn._src.configs.config import (
    device as device,
)
from ferrnn._src.configs.config import (
    version as version,
)
from ferrnn._src.configs.dtype_policy import DTypePolicy as DTypePolicy
from ferrnn._src.configs.names import name_scope as name_scope
from ferrnn._src.interop.from_torch import from_torch as from_torch
from ferrnn._src.interop.load_model import load_model as load_model
from ferrnn._src.interop.onnx.model import from_onnx as from_onnx
from ferrnn._src.interop.to_onnx import to_onnx as to_onnx
from ferrnn._src.interop.to_torch import to_torch as to_torch
from ferrnn._src.interop.verifying import verify as verify
from ferrnn._src.layer.input_spec import InputSpec as InputSpec
from ferrnn._src.layer.layer import Call as Call
from ferrnn._src.layer.layer import Layer as Layer
from ferrnn._src.layers.input import Input as Input
from ferrnn._src.layers.input import InputLayer as InputLayer
from ferrnn._src.machine import show_config as show_config
from ferrnn._src.models.many import (
    ManyModels as ManyModels,
)
from ferrnn._src.models.many import (
    fit_many as fit_many,
)
from ferrnn._src.models.model import Model as Model
from ferrnn._src.models.sequential import Sequential as Sequential
from ferrnn._src.native import (
    InternalError as InternalError,
)
from ferrnn._src.native import (
    clear_buffers as clear_buffers,
)
from ferrnn._src.native import (
    num_threads as num_threads,
)
from ferrnn._src.native import (
    set_num_threads as set_num_threads,
)
from ferrnn._src.native import (
    simd_level as simd_level,
)
from ferrnn._src.symbolic.symbolic import SymbolicTensor as _SymbolicTensor
from ferrnn._src.training.loss import Loss as Loss
from ferrnn._src.training.metrics.metric import Metric as Metric
from ferrnn._src.training.optimizers.optimizer import Optimizer as Optimizer
from ferrnn._src.weights.constraints import Constraint as Constraint
from ferrnn._src.weights.initializer import Initializer as Initializer
from ferrnn._src.weights.parameter import Gradients as Gradients
from ferrnn._src.weights.parameter import Parameter as Parameter
from ferrnn._src.weights.regularizers import Regularizer as Regularizer
from ferrnn._src.weights.variable import Variable as Variable
from ferrnn._version import __version__ as __version__

KerasTensor = _SymbolicTensor
