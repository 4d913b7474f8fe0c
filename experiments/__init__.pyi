from .inference.predictor import Predictor as Predictor
from .inference.predictor import load as load
from .inference.results import Segmentation as Segmentation
