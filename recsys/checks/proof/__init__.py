"""Checks of the tool itself: what is claimed of it, and the studies that test the claims."""
