"""Trains one recommender and tests it on what users liked later."""

from recsys.training.evaluate import TrainingResult, evaluate
from recsys.training.load import load_training
from recsys.training.train import train

__all__ = ["TrainingResult", "evaluate", "load_training", "train"]
