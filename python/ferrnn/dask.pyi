from ferrnn._src.clusters.on_dask.groups import fit_many as fit_many
from ferrnn._src.clusters.on_dask.scoring import predict as predict
from ferrnn._src.clusters.on_dask.training import fit as fit
