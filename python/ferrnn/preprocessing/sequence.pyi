from ferrnn._src.data.sequences import pad_sequences as pad_sequences
from ferrnn._src.data.windows import TimeseriesGenerator as TimeseriesGenerator
