from .inference.loading import load as load
from .inference.predictor import Predictor as Predictor
from .inference.results import Segmentation as Segmentation
from .training import Run as Run
from .training import fit as fit
