"""Figures that a platform must reproduce."""
