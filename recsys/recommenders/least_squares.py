"""Sweeps of als: the vectors of one side, improved while those of the other side are fixed.

With the vectors y_i of items fixed, that of a user solves A x = b with

    A = Σ_i (1 + (c_i - 1)[liked i]) y_i y_iᵀ + λI,   b = Σ_{liked i} c_i y_i.

A few steps of conjugate gradients lead towards the solution from the vector of the sweep before
(Takács, Pilászy & Tikk 2011, "Applications of the conjugate gradient method for implicit feedback
collaborative filtering"). They never build A: their cost grows with the length of a vector times
the number of likes, and a user's vector has the same bits whoever else is fitted.
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.core.threads import over_blocks

_STEPS = 3
"""Steps of conjugate gradients in a sweep."""
_ROWS = 8192
"""Number of rows that one thread works on at a time."""
_FAST = {"reassoc", "contract", "nsz"}
"""Freedoms of the compiler with floating-point sums; it may not assume that numbers are finite."""


def penalties(
    confidence: csr_matrix,
    regularization: float,
    frequency: float,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """λ of each row: `regularization` times the total confidence of its pairs, to a power.

    Rendle, Krichene, Zhang & Koren 2022, "Revisiting the performance of iALS on item recommendation
    benchmarks", whose λ (|I_u| + α n)^ν this is but for a factor, where α is the confidence of a
    pair without an event, and 1 here.

    Args:
        confidence: c where there was an event, CSR (n, m).
        regularization: λ of a row whose total confidence is 1, such as 1.0.
        frequency: the power ν, such as 0.5; with 0 all rows have the same λ.
        weights: float64 (m,), a weight of the pairs of each column; None for 1.

    Returns:
        Float64 (n,).

    >>> penalties(csr_matrix([[5.0, 0.0, 0.0, 0.0, 0.0]]), 2.0, 0.5).tolist()  # 5 + 1 + 1 + 1 + 1
    [6.0]
    """
    weights = np.ones(confidence.shape[1]) if weights is None else weights
    more = confidence.astype(np.float64)
    more.data = more.data - 1
    total = more @ weights + weights.sum()
    return np.asarray(regularization * np.maximum(total, 0.0) ** frequency)


def sweep(
    confidence: csr_matrix,
    fixed: NDArray[np.float32],
    penalty: NDArray[np.float32],
    vectors: NDArray[np.float32],
    threads: int = 1,
) -> None:
    """Improves the vectors of one side.

    Args:
        confidence: c where there was an event, float32 CSR (n, m).
        fixed: vectors of the other side, float32 (m, f).
        penalty: λ of each row, float32 (n,).
        vectors: float32 (n, f), where the steps begin; changed.
        threads: number of threads, such as 2; each row has the same bits whatever it is.
    """
    start = confidence.indptr.astype(np.int64)
    indices = confidence.indices.astype(np.int32, copy=False)
    gram = _gram(fixed)

    def descend(rows: slice) -> None:
        _descend(
            start[rows.start : rows.stop + 1],
            indices,
            confidence.data,
            fixed,
            gram,
            penalty[rows],
            vectors[rows],
            _STEPS,
        )

    over_blocks(descend, len(vectors), threads, _ROWS)


@njit(nogil=True, cache=True)
def _gram(vectors):  # type: ignore[no-untyped-def]
    """Σ y yᵀ, float32 (f, f), summed in float64 in the order of rows, whatever BLAS would do."""
    n, f = vectors.shape
    total = np.zeros((f, f))
    fours = n - n % 4
    for row in range(0, fours, 4):
        for i in range(f):
            x0, x1 = np.float64(vectors[row, i]), np.float64(vectors[row + 1, i])
            x2, x3 = np.float64(vectors[row + 2, i]), np.float64(vectors[row + 3, i])
            for j in range(f):
                total[i, j] = (
                    total[i, j]
                    + x0 * vectors[row, j]
                    + x1 * vectors[row + 1, j]
                    + x2 * vectors[row + 2, j]
                    + x3 * vectors[row + 3, j]
                )
    for row in range(fours, n):
        for i in range(f):
            left = np.float64(vectors[row, i])
            for j in range(f):
                total[i, j] += left * vectors[row, j]
    return total.astype(np.float32)


@njit(nogil=True, cache=True, error_model="numpy")
def _descend(indptr, indices, confidence, fixed, gram, penalty, vectors, steps):  # type: ignore[no-untyped-def]
    """Takes the steps of each row; r is the residual b - A x, p the direction of a step."""
    f = fixed.shape[1]
    work = np.empty((3, f), dtype=np.float32)
    r, p, product = work[0], work[1], work[2]
    for row in range(indptr.size - 1):
        x, start, end = vectors[row], indptr[row], indptr[row + 1]
        _multiply(indices, confidence, start, end, fixed, gram, penalty[row], x, r)
        for j in range(f):
            r[j] = -r[j]
        for place in range(start, end):
            item, c = indices[place], confidence[place]
            for j in range(f):
                r[j] += c * fixed[item, j]
        for j in range(f):
            p[j] = r[j]
        left = _dot(work, 0, r)
        for _ in range(steps):
            if left <= np.float32(1e-20):  # not so where it is NaN, which then spreads to x
                break
            _multiply(indices, confidence, start, end, fixed, gram, penalty[row], p, product)
            length = left / _dot(work, 2, p)
            for j in range(f):
                x[j] += length * p[j]
                r[j] -= length * product[j]
            after = _dot(work, 0, r)
            more = after / left
            for j in range(f):
                p[j] = r[j] + more * p[j]
            left = after


@njit(nogil=True, cache=True)
def _multiply(indices, confidence, start, end, fixed, gram, penalty, x, out):  # type: ignore[no-untyped-def]
    """Writes A x to `out`. Four terms are added at a time, in their order, so that what is summed
    so far is read and written a quarter as often."""
    f, one = x.size, np.float32(1)
    for j in range(f):
        out[j] = penalty * x[j]
    fours = f - f % 4
    for i in range(0, fours, 4):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(f):
            out[j] = (
                out[j]
                + x0 * gram[i, j]
                + x1 * gram[i + 1, j]
                + x2 * gram[i + 2, j]
                + x3 * gram[i + 3, j]
            )
    for i in range(fours, f):
        for j in range(f):
            out[j] += x[i] * gram[i, j]
    fours = end - (end - start) % 4
    for at in range(start, fours, 4):
        i0, i1, i2, i3 = indices[at], indices[at + 1], indices[at + 2], indices[at + 3]
        m0 = (confidence[at] - one) * _dot(fixed, i0, x)
        m1 = (confidence[at + 1] - one) * _dot(fixed, i1, x)
        m2 = (confidence[at + 2] - one) * _dot(fixed, i2, x)
        m3 = (confidence[at + 3] - one) * _dot(fixed, i3, x)
        for j in range(f):
            out[j] = (
                out[j]
                + m0 * fixed[i0, j]
                + m1 * fixed[i1, j]
                + m2 * fixed[i2, j]
                + m3 * fixed[i3, j]
            )
    for at in range(fours, end):
        item = indices[at]
        more = (confidence[at] - one) * _dot(fixed, item, x)
        for j in range(f):
            out[j] += more * fixed[item, j]


@njit(nogil=True, cache=True, fastmath=_FAST)
def _dot(rows, row, x):  # type: ignore[no-untyped-def]
    """The product of a row with x.

    The loop writes nothing: where one does, the compiler makes it twice, and where arrays happen to
    lie close together it takes the one without vectors, which sums in another order.
    """
    total = np.float32(0)
    for j in range(x.size):
        total += rows[row, j] * x[j]
    return total
