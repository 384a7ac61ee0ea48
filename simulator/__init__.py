"""Synthetic markets on SimPy."""
