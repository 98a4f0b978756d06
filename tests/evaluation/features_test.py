"""Inception as a feature net."""

import keras
import numpy as np
import pytest

from zoo.errors import InputError
from zoo.evaluation import features


@pytest.mark.weekly
def test_inception_sees_gray_images_as_the_same_in_three_channels():
    keras.utils.set_random_seed(0)
    net = features.inception((28, 28, 1), weights=None)
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    seen, probabilities = net.see([images])
    assert seen.shape == (2, 2048) and probabilities is None
    assert "299x299" in net.resize and len(net.sha256) == 64
    np.testing.assert_allclose(net.features(images.repeat(3, -1)), seen, rtol=1e-5)
    assert np.abs(seen[0] - seen[1]).max() > 0


def test_without_its_weights_it_says_so_plainly(monkeypatch):
    def fails(**kwargs):
        raise Exception("URL fetch failure on https://storage: [Errno -3] no network")

    monkeypatch.setattr(keras.applications, "InceptionV3", fails)
    with pytest.raises(InputError, match="not in Keras' cache .* no network.*--features"):
        features.inception((28, 28, 1))
