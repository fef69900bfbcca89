"""Chains of 3 x 3 blocks, against the whole matrix."""

import numpy as np
import pytest
from numba import njit

from quant.kernels.block_chain import solve_chain


@njit
def solved(blocks, links, y):
    """Kernels are called from compiled code."""
    solve_chain(blocks, links, y)


def chain(rng, n):
    """Blocks, links, and the matrix they stand for, which is positive definite."""
    links = rng.exponential(1.0, (n, 5))
    matrix = np.zeros((3 * n, 3 * n))
    for i in range(n):
        root = rng.standard_normal((3, 3))
        matrix[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] += root @ root.T + 0.1 * np.eye(3)
        for c in range(3):
            if i:
                here, before = 3 * i + c, 3 * i - 3 + c
                matrix[[here, before], [here, before]] += links[i, c]
                matrix[[here, before], [before, here]] -= links[i, c]
    blocks = np.array([matrix[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] for i in range(n)])
    return blocks, links, matrix


@pytest.mark.parametrize("n", [1, 2, 3, 15, 40])
def test_a_chain_has_the_solution_of_its_matrix(n):
    rng = np.random.default_rng(n)
    blocks, links, matrix = chain(rng, n)
    right = rng.standard_normal((n, 3))
    expected = np.linalg.solve(matrix, right.ravel()).reshape(n, 3)

    solved(blocks, links, right)

    assert right == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_a_chain_that_is_not_definite_has_no_solution():
    blocks, links, _ = chain(np.random.default_rng(1), 3)
    blocks[1] = -np.eye(3)
    right = np.ones((3, 3))

    solved(blocks, links, right)

    assert np.isnan(right).any()
