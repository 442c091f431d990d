"""EmotionROI: photographs in six emotions."""

from .emotionroi_dataset_builder import Builder, EmotionROIConfig

__all__ = ["Builder", "EmotionROIConfig"]
