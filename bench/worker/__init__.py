"""The process of one contestant, in strangers' Pythons: it imports NumPy and psutil alone."""
