"""The charts of a page: Altair's specifications, each beside the figures that it shows."""
