from ferrnn._src.clusters.groups import fit_many as fit_many
from ferrnn._src.clusters.scoring import predict as predict
from ferrnn._src.clusters.training import fit as fit
