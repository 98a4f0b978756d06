"""Moves in latent space against what they are defined to be."""

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.math import latents

Z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)


def test_traverse_moves_one_dimension_to_the_values():
    paths = latents.traverse(Z, 2, [-1.0, 0.5]).numpy()
    np.testing.assert_array_equal(paths[:, :, 2], np.tile([-1.0, 0.5], (3, 1)))
    rest = [0, 1, 3, 4]
    np.testing.assert_array_equal(paths[:, 0, rest], Z[:, rest])


def test_interpolations_meet_both_ends():
    for spherical in (False, True):
        path = latents.interpolate(Z, W, 5, spherical).numpy()
        np.testing.assert_allclose(path[:, 0], Z, atol=1e-6)
        np.testing.assert_allclose(path[:, -1], W, atol=1e-6)


def test_linear_midpoint_and_spherical_radius():
    np.testing.assert_allclose(latents.interpolate(Z, W, 3)[:, 1], (Z + W) / 2, atol=1e-6)
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (Z, W))
    path = latents.interpolate(a, b, 9, spherical=True).numpy()
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1, atol=1e-5)
    steps = np.arccos(np.clip((path[:, 1:] * path[:, :-1]).sum(-1), -1, 1))
    np.testing.assert_allclose(steps, steps.mean(1, keepdims=True) + 0 * steps, rtol=1e-3)


def test_spherical_between_equal_ends_is_finite():
    np.testing.assert_allclose(latents.interpolate(Z, Z, 4, True)[:, 2], Z, atol=1e-6)


def test_edit_adds_to_chosen_dimensions():
    edited = latents.edit(Z, {1: 0.5, 4: -2.0}).numpy()
    np.testing.assert_allclose(edited - Z, np.tile([0, 0.5, 0, 0, -2.0], (3, 1)), atol=1e-6)


def test_a_dimension_that_is_not_there():
    with pytest.raises(InputError, match="no latent dimension 5"):
        latents.edit(Z, {5: 1.0})


def test_every_category_of_one_variable():
    codes = np.eye(3, dtype=np.float32)[[[0, 2], [1, 1]]].reshape(2, 6)  # two one-hots each
    found = latents.every_category(codes, 1, 3).numpy().reshape(2, 3, 2, 3)
    np.testing.assert_array_equal(found[:, :, 0], codes.reshape(2, 2, 3)[:, None, 0].repeat(3, 1))
    np.testing.assert_array_equal(found[:, :, 1], np.stack([np.eye(3)] * 2))
    with pytest.raises(InputError, match=r"no latent dimension 2: there are 0\.\.1"):
        latents.every_category(codes, 2, 3)
