from ferrnn._src.configs.dtype_policy import DTypePolicy as DTypePolicy
from ferrnn._src.configs.dtype_policy import dtype_policy as dtype_policy
from ferrnn._src.configs.dtype_policy import set_dtype_policy as set_dtype_policy
from ferrnn._src.training.optimizers.loss_scaling import LossScaleOptimizer as LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
