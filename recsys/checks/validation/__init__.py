"""Checks whether a synthetic platform reproduces published figures of real ones."""
