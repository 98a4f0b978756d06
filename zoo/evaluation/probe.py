"""A linear probe: how much of the label can be read off a representation by a linear classifier."""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.errors import InputError

MAX_ITERATIONS = 100
INVERSE_REGULARIZATION = (0.01, 0.1, 1.0, 10.0)  # scikit-learn's C, of which the best is taken
HELD_OUT = 0.2  # of the training features, to choose by


def linear_probe(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> np.ndarray:
    """Whether logistic regression on standardized features finds each test label: bool [M].

    How strongly it is regularized is chosen for these features by a fifth of the training ones: a
    strength that suits few dimensions overfits many. Where a fifth has not one image of each class,
    C is 1.

    Args:
      train: features [N, D].
      train_labels: int [N].
      test: features [M, D].
      test_labels: int [M].

    Raises:
      InputError: features that are not finite, or labels of one class only.
    """
    for features in (train, test):
        if not np.isfinite(features).all():
            raise InputError("features hold NaN or infinite values")
    if len(np.unique(train_labels)) < 2:
        raise InputError("a linear probe needs training images of two classes at least")
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    counts = np.unique(train_labels, return_counts=True)[1]
    if counts.min() > 1 and HELD_OUT * len(train) >= len(counts):
        probe = GridSearchCV(
            probe,
            {"logisticregression__C": INVERSE_REGULARIZATION},
            cv=StratifiedShuffleSplit(1, test_size=HELD_OUT, random_state=0),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # pixels: the limit is the protocol's
        warnings.filterwarnings("ignore", "The number of unique classes")  # few images of many
        probe.fit(train, train_labels)
    return probe.predict(test) == test_labels


def principal_components(
    train: np.ndarray, test: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets [N, D], [M, D] in the first `count` principal components of the first one.

    Raises:
      InputError: there are not as many.
    """
    if count > min(train.shape):
        raise InputError(f"{count} principal components need as many training images at least")
    pca = PCA(count, svd_solver="covariance_eigh").fit(train)
    return pca.transform(train), pca.transform(test)
