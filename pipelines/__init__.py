"""Programs around the library: a config file in; files, MLflow runs and a summary out."""
