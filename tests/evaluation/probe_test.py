"""The linear probe finds what a line separates, and nothing where there is nothing."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.errors import InputError
from zoo.evaluation import probe


def data(n, seed, d=5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    x = rng.normal(size=(n, d))
    x[:, 0] += 20 * labels
    return x, labels


def test_classes_that_a_line_separates_are_found():
    # where a fifth of the images cannot tell, the strongest regularization is taken: not quite all
    assert probe.linear_probe(*data(300, 0), *data(200, 1)).mean() > 0.9


def test_labels_without_relation_are_found_by_chance_only():
    (x, _), (other, _) = data(900, 0), data(900, 1)
    labels = np.random.default_rng(2).permutation(np.arange(900) % 3)  # no image tells of its own
    hits = probe.linear_probe(x, np.arange(900) % 3, other, labels)
    assert abs(hits.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 900)


def test_a_representation_that_is_rescaled_is_the_same_to_it():
    (x, y), (test, labels) = data(300, 0), data(300, 1)
    scale = np.array([1e-4, 1, 1e4, 7, 0.1])
    x[:, 0] -= 18 * y  # so that some are missed
    test[:, 0] -= 18 * labels
    hits = probe.linear_probe(x, y, test, labels)
    assert 0.3 < hits.mean() < 1
    again = probe.linear_probe(x * scale + 3, y, test * scale + 3, labels)
    np.testing.assert_array_equal(hits, again)


def test_principal_components_against_a_singular_value_decomposition():
    x, _ = data(50, 0)
    test, _ = data(20, 1)
    got, got_test = probe.principal_components(x, test, 2)
    _, _, rows = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(got), np.abs((x - x.mean(0)) @ rows[:2].T), atol=1e-9)
    np.testing.assert_allclose(np.abs(got_test), np.abs((test - x.mean(0)) @ rows[:2].T), atol=1e-9)


def test_what_cannot_be_probed():
    x, y = data(10, 0)
    with pytest.raises(InputError, match="two classes at least"):
        probe.linear_probe(x, np.zeros(10, int), x, y)
    with pytest.raises(InputError, match="NaN"):
        probe.linear_probe(np.full((10, 5), np.nan), y, x, y)


def weak_signals(n, seed, noise):
    """Three classes, each a little to one side in ten dimensions, and others of noise alone."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    means = np.random.default_rng(7).normal(0, 0.5, (3, 10))
    x = rng.normal(size=(n, 10 + noise))
    x[:, :10] += means[labels]
    return x, labels


def fixed(c, train, test):
    """The share of test labels that are found with one strength of regularization."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=100))
    return model.fit(*train).score(*test)


@pytest.mark.parametrize(
    ("make", "c", "sets"),
    [
        (lambda n, seed: weak_signals(2 * n, seed, 400), 1.0, 4),  # which overfits
        (lambda n, seed: data(n, seed), 0.01, 16),  # which does not reach the corners
    ],
)
def test_many_dimensions_are_regularized_and_few_are_not(make, c, sets):
    pairs = [(make(300, 2 * i), make(1000, 2 * i + 1)) for i in range(sets)]
    found = [probe.linear_probe(*train, *test).mean() for train, test in pairs]
    assert np.mean(found) > np.mean([fixed(c, *pair) for pair in pairs])


def test_a_handful_of_images_can_be_probed():
    assert probe.linear_probe(*data(12, 0), *data(50, 1)).mean() > 0.5
