from ferrnn._src.training.averages import SwapEMAWeights as SwapEMAWeights
from ferrnn._src.training.backup import BackupAndRestore as BackupAndRestore
from ferrnn._src.training.callback_list import (
    CallbackList as CallbackList,
)
from ferrnn._src.training.callbacks import (
    Callback as Callback,
)
from ferrnn._src.training.callbacks import (
    History as History,
)
from ferrnn._src.training.callbacks import (
    LambdaCallback as LambdaCallback,
)
from ferrnn._src.training.callbacks import (
    ProgbarLogger as ProgbarLogger,
)
from ferrnn._src.training.checkpoints import (
    ModelCheckpoint as ModelCheckpoint,
)
from ferrnn._src.training.monitor import MonitorCallback as MonitorCallback
from ferrnn._src.training.rates import (
    LearningRateScheduler as LearningRateScheduler,
)
from ferrnn._src.training.rates import (
    ReduceLROnPlateau as ReduceLROnPlateau,
)
from ferrnn._src.training.reports import CSVLogger as CSVLogger
from ferrnn._src.training.reports import RemoteMonitor as RemoteMonitor
from ferrnn._src.training.stopping import (
    EarlyStopping as EarlyStopping,
)
from ferrnn._src.training.stopping import (
    TerminateOnNaN as TerminateOnNaN,
)
from ferrnn._src.training.tensorboard import TensorBoard as TensorBoard
from ferrnn._src.training.trackers import MlflowCallback as MlflowCallback
from ferrnn._src.training.trackers import OptunaPruningCallback as OptunaPruningCallback
from ferrnn._src.training.trackers import WandbMetricsLogger as WandbMetricsLogger
