"""Programs that read a config file and give files, MLflow runs and a summary."""
