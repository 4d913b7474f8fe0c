from .base import ImageTask as ImageTask
from .segmentation import SegmentationModule as SegmentationModule
from .style import StyleModule as StyleModule
from .super_resolution import SuperResolutionModule as SuperResolutionModule
