"""Files: finished cells, results, stored models, digests."""
