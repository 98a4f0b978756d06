"""The original Inception network, against the reference's features of the same random weights."""

import zlib

import numpy as np
import pytest
from keras import layers

import zoo
from zoo.evaluation import features, inception
from zoo.training import measuring

# of torch-fidelity 0.4.0, whose weights and images were those of this test, on a CPU
REFERENCE = {
    "first": [  # features 0 to 3 of each
        [0.465113, 1.038593, 0.424237, 0.061949],
        [0.395969, 0.518123, 0.214089, 0.01954],
        [0.504999, 1.161699, 0.419951, 0.022563],
    ],
    "mean": [2.17109394, 1.3352704, 1.97814953],
    "norm": [166.342468, 102.466568, 151.364471],
}


def random_tensors():
    """Weights of the file's names and shapes, each from a seed of its own."""
    found = {}

    def add(name, draw):
        found[name] = draw(np.random.default_rng(zlib.crc32(name.encode()))).astype(np.float32)

    def add_layer(name, kernel):
        height, width, before, n = kernel.shape
        shape, scale = (n, before, height, width), np.sqrt(2 / (before * height * width))
        scale = np.float32(scale)
        add(f"{name}.conv.weight", lambda rng: scale * rng.standard_normal(shape, np.float32))
        for part in ("weight", "running_var"):
            add(f"{name}.bn.{part}", lambda rng: rng.uniform(0.5, 1.5, n))
        for part in ("bias", "running_mean"):
            add(f"{name}.bn.{part}", lambda rng: 0.1 * rng.standard_normal(n))

    for layer in inception.architecture().layers:
        if isinstance(layer, layers.Conv2D):
            add_layer(layer.name, layer.kernel)
    return found


def pictures():
    """A noisy picture, a smooth one and a dark one, uint8 [3, 40, 50, 3]."""
    found = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    found[1] = np.linspace(0, 255, 50)[None, :, None]
    found[2] //= 4
    return found


@pytest.mark.slow
def test_features_are_those_of_the_reference(monkeypatch, tmp_path):
    network = inception.of_tensors(random_tensors())
    monkeypatch.setattr(inception, "network", lambda path: network)
    net = features.inception_2015((40, 50, 3), tmp_path)
    found, probabilities = net.see([pictures()])
    assert found.shape == (3, 2048) and probabilities is None
    np.testing.assert_allclose(found[:, :4], REFERENCE["first"], rtol=1e-4)
    np.testing.assert_allclose(found.mean(1), REFERENCE["mean"], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), REFERENCE["norm"], rtol=1e-5)
    gray = features.inception_2015((40, 50, 1), tmp_path)
    np.testing.assert_allclose(
        gray.features(pictures()[1:2, ..., :1] / 255), found[1:2], rtol=1e-4, atol=1e-5
    )


def test_another_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(zoo.InputError, match="weights.pth cannot be read: No such file"):
        inception.network(path)
    path.write_bytes(b"other")
    with pytest.raises(zoo.InputError, match=f"is not {inception.FILE} .*its SHA-256 is another"):
        inception.network(path)


def test_without_a_network_it_says_how_to_name_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(inception, "FOLDER", "http://127.0.0.1:9")  # where nobody answers
    with pytest.raises(zoo.InputError, match=r"127.0.0.1:9/pt_inception.* by --weights$"):
        measuring._inception_2015("")
    assert measuring._inception_2015("a.pth").name == "a.pth"
