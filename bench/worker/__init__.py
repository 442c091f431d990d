"""The process of one contestant; it runs in strangers' Pythons, so NumPy and psutil alone are imported here."""
