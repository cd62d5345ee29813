"""Checks of the synthetic platform (`validation`) and of the tool itself (`proof`)."""
