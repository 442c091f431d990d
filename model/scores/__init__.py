"""Scores: how good a trained network is, and where in a picture it finds its answer."""
