"""Types of arrays that estimates take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


Counts = NDArray[np.int64]


Bools = NDArray[np.bool_]


Ints = NDArray[np.int64]


Keys = NDArray[np.uint64]
