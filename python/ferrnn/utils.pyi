from ferrnn._src.configs.config import (
    disable_interactive_logging as disable_interactive_logging,
)
from ferrnn._src.configs.config import (
    enable_interactive_logging as enable_interactive_logging,
)
from ferrnn._src.configs.config import (
    is_interactive_logging_enabled as is_interactive_logging_enabled,
)
from ferrnn._src.configs.custom_objects import (
    CustomObjectScope as CustomObjectScope,
)
from ferrnn._src.configs.custom_objects import (
    custom_object_scope as custom_object_scope,
)
from ferrnn._src.configs.custom_objects import (
    get_custom_objects as get_custom_objects,
)
from ferrnn._src.configs.custom_objects import (
    get_registered_object as get_registered_object,
)
from ferrnn._src.configs.custom_objects import (
    register_keras_serializable as register_keras_serializable,
)
from ferrnn._src.configs.custom_objects import registered_name
from ferrnn._src.configs.names import clear_session as clear_session
from ferrnn._src.configs.serialization import (
    deserialize_keras_object as deserialize_keras_object,
)
from ferrnn._src.configs.serialization import (
    serialize_keras_object as serialize_keras_object,
)
from ferrnn._src.data.elements import split_dataset as split_dataset
from ferrnn._src.data.files import get_file as get_file
from ferrnn._src.data.labels import (
    normalize as normalize,
)
from ferrnn._src.data.labels import (
    pack_x_y_sample_weight as pack_x_y_sample_weight,
)
from ferrnn._src.data.labels import (
    to_categorical as to_categorical,
)
from ferrnn._src.data.labels import (
    unpack_x_y_sample_weight as unpack_x_y_sample_weight,
)
from ferrnn._src.data.sequences import pad_sequences as pad_sequences
from ferrnn._src.data.text_files import (
    text_dataset_from_directory as text_dataset_from_directory,
)
from ferrnn._src.data.windows import timeseries_dataset_from_array as timeseries_dataset_from_array
from ferrnn._src.models.cloning import clone_model as clone_model
from ferrnn._src.models.drawing import model_to_dot as model_to_dot
from ferrnn._src.models.drawing import plot_model as plot_model
from ferrnn._src.ops.dtypes import standardize_dtype as standardize_dtype
from ferrnn._src.ops.legacy import is_keras_tensor as is_keras_tensor
from ferrnn._src.symbolic.symbolic import get_source_inputs as get_source_inputs
from ferrnn._src.training.progress import Progbar as Progbar
from ferrnn._src.training.py_dataset import PyDataset as PyDataset
from ferrnn._src.weights.random import set_random_seed as set_random_seed

Sequence = PyDataset
get_registered_name = registered_name
