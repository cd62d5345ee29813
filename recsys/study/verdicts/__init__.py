"""The answer of a study in words: the same in the terminal, on the page, in JSON and in MLflow."""
