from ferrnn._src.configs.caps import (
    max_epochs as max_epochs,
)
from ferrnn._src.configs.caps import (
    max_steps_per_epoch as max_steps_per_epoch,
)
from ferrnn._src.configs.caps import (
    set_max_epochs as set_max_epochs,
)
from ferrnn._src.configs.caps import (
    set_max_steps_per_epoch as set_max_steps_per_epoch,
)
from ferrnn._src.configs.config import (
    backend as backend,
)
from ferrnn._src.configs.config import (
    disable_interactive_logging as disable_interactive_logging,
)
from ferrnn._src.configs.config import (
    disable_traceback_filtering as disable_traceback_filtering,
)
from ferrnn._src.configs.config import (
    enable_interactive_logging as enable_interactive_logging,
)
from ferrnn._src.configs.config import (
    enable_traceback_filtering as enable_traceback_filtering,
)
from ferrnn._src.configs.config import (
    epsilon as epsilon,
)
from ferrnn._src.configs.config import (
    floatx as floatx,
)
from ferrnn._src.configs.config import (
    image_data_format as image_data_format,
)
from ferrnn._src.configs.config import (
    is_interactive_logging_enabled as is_interactive_logging_enabled,
)
from ferrnn._src.configs.config import (
    is_traceback_filtering_enabled as is_traceback_filtering_enabled,
)
from ferrnn._src.configs.config import (
    set_epsilon as set_epsilon,
)
from ferrnn._src.configs.config import (
    set_floatx as set_floatx,
)
from ferrnn._src.configs.config import (
    set_image_data_format as set_image_data_format,
)
from ferrnn._src.configs.dtype_policy import (
    dtype_policy as dtype_policy,
)
from ferrnn._src.configs.dtype_policy import (
    set_dtype_policy as set_dtype_policy,
)
from ferrnn._src.machine import show_config as show_config
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
