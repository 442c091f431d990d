"""Rows as tables, charts and sentences."""
