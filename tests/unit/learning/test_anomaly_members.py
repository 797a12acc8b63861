"""What the members look with: what other sensors say, a whitened space, centres and kept windows."""

import numpy as np
import pytest

from mesh.learning.anomaly.neighbours import centres, exemplars, fit_space, nearest
from mesh.learning.anomaly.relations import fit_relations, residuals


def loaded(count: int, seed: int, sensors: int = 6) -> np.ndarray:
    """[count, sensors, 1]: a common load of variance 1 and noise of standard deviation 0.1."""
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(count, 1)) + 0.1 * draw.normal(size=(count, sensors)))[:, :, None]


def test_a_common_load_leaves_no_residual_and_one_sensor_s_shift_leaves_all():
    relations = fit_relations(loaded(4_000, 1))
    assert residuals(relations, loaded(1_000, 2)).std() == pytest.approx(0.1 * np.sqrt(6 / 5), rel=0.1)
    together = residuals(relations, np.full((1, 6, 1), 3.0))
    assert np.abs(together).max() < 0.1
    alone = np.zeros((1, 6, 1))
    alone[0, 2, 0] = 1.0
    assert residuals(relations, alone)[0, 2, 0] == pytest.approx(1.0)


def test_a_residual_is_what_remains_of_the_reconstruction_from_the_others():
    relations, scores = fit_relations(loaded(4_000, 1)), loaded(50, 3)
    without = scores.copy()
    without[:, 4] = 0.0
    said = -residuals(relations, without)[:, 4]
    np.testing.assert_allclose(scores[:, 4] - said, residuals(relations, scores)[:, 4], atol=1e-12)
    assert (scores[:, 4] - said).std() < 0.2


def test_sensors_without_relation_are_left_as_they_are():
    scores = np.random.default_rng(5).normal(size=(5_000, 5, 2))
    np.testing.assert_allclose(residuals(fit_relations(scores), scores), scores, atol=1e-9)


def test_one_sensor_and_a_feature_that_never_moves_are_taken():
    scores = np.zeros((300, 1, 1))
    np.testing.assert_array_equal(residuals(fit_relations(scores), scores), scores)


def test_a_space_is_white_and_has_no_more_directions_than_there_are():
    scores = loaded(4_000, 6)
    points = fit_space(scores, 40).place(scores)
    assert points.shape == (4_000, 6)
    np.testing.assert_allclose(np.cov(points.T), np.eye(6), atol=0.05)
    still = np.concatenate([scores, np.zeros_like(scores)], axis=2)
    assert fit_space(still, 40).weights.shape == (12, 6)


def test_the_nearest_is_found():
    points = np.random.default_rng(7).normal(size=(20, 3))
    kept = np.random.default_rng(8).normal(size=(5, 3))
    plain = np.linalg.norm(points[:, None] - kept, axis=2).min(axis=1)
    np.testing.assert_allclose(nearest(points, kept), plain, atol=1e-7)


def test_centres_find_clusters():
    draw = np.random.default_rng(9)
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([middle + 0.1 * draw.normal(size=(100, 2)) for middle in middles])
    found = centres(points, 3, np.random.default_rng(1))
    assert nearest(middles, found).max() < 0.1


def test_few_and_equal_points_have_as_many_centres_and_exemplars_as_there_are():
    points = np.ones((3, 2))
    draw = np.random.default_rng(1)
    np.testing.assert_array_equal(centres(points, 16, draw), points)
    assert len(exemplars(points, 16, draw)) == 3
