"""A study as MLflow runs: a parent, a run for each recommender below it, and one for each seed below that.

`import mlflow` and the first look at a database take seconds, so `Tracker` does both in a thread of
its own while the cells run. Each run is then one batch.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from pipelines import records
from pipelines.digests import world_digest
from pipelines.provenance import git_tags, version_tags
from recsys.config import Study
from recsys.study import StudyResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Recorded", "Tracker", "TrackingError"]

_LOCAL = Path("mlruns")
_MOST_METRICS, _MOST_PARAMS = 1000, 100
