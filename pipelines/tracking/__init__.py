"""MLflow: where runs are recorded, and what of a result."""
