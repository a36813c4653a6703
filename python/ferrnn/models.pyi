from ferrnn._src.interop.load_model import load_model as load_model
from ferrnn._src.interop.save_model import save_model as save_model
from ferrnn._src.models.cloning import (
    clone_model as clone_model,
)
from ferrnn._src.models.cloning import (
    model_from_json as model_from_json,
)
from ferrnn._src.models.many import ManyModels as ManyModels
from ferrnn._src.models.model import Functional as Functional
from ferrnn._src.models.model import Model as Model
from ferrnn._src.models.online import OnlineLearner as OnlineLearner
from ferrnn._src.models.sequential import Sequential as Sequential
from ferrnn._src.sequence.sessions import Sessions as Sessions
from ferrnn._src.sequence.stream import Stream as Stream
