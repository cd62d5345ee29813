"""Recording results and models in MLflow."""
