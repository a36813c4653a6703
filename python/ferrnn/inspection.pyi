from ferrnn._src.inspection.attributions import integrated_gradients as integrated_gradients
from ferrnn._src.inspection.figures import plot_attributions as plot_attributions
from ferrnn._src.inspection.figures import plot_history as plot_history
from ferrnn._src.inspection.figures import plot_states as plot_states
from ferrnn._src.inspection.states import layer_states as layer_states
