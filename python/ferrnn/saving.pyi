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
from ferrnn._src.configs.serialization import (
    deserialize_keras_object as deserialize_keras_object,
)
from ferrnn._src.configs.serialization import (
    serialize_keras_object as serialize_keras_object,
)
from ferrnn._src.files.errors import (
    FileError as FileError,
)
from ferrnn._src.interop.load_model import (
    load_model as load_model,
)
from ferrnn._src.interop.load_model import (
    load_streams as load_streams,
)
from ferrnn._src.interop.load_model import (
    load_weights as load_weights,
)
from ferrnn._src.interop.save_model import (
    save_model as save_model,
)
from ferrnn._src.interop.to_onnx import (
    export_model as export_model,
)
from ferrnn._src.interop.verifying import (
    verify as verify,
)
from ferrnn._src.models.files import (
    save_weights as save_weights,
)

get_registered_name = registered_name
