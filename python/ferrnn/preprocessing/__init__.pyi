from ferrnn._src.data.windows import timeseries_dataset_from_array as timeseries_dataset_from_array
from ferrnn.preprocessing import sequence as sequence
from ferrnn.preprocessing import text as text
