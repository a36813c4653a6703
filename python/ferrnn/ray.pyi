from ferrnn._src.clusters.on_ray.groups import fit_many as fit_many
from ferrnn._src.clusters.on_ray.scoring import predict as predict
from ferrnn._src.clusters.on_ray.training import fit as fit
