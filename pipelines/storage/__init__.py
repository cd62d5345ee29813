"""Files on disk: finished cells, results, models, and the digests that name them."""
