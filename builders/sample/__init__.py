"""Synthetic photographs in the layouts of EmotionROI and Twitter I."""
