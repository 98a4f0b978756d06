"""How many of many classes samples cover, and how evenly: whether a generator drops modes.

The number of classes that a classifier sees in at least one sample, and KL(shares | uniform) of the
shares that it sees; Metz et al. 2017 (arXiv:1611.02163), section 3.3.1, for 1,000 classes of
stacked digits by 26,000 samples. More samples cover more, so that only figures of equally many
compare. A classifier that is wrong now and then fills missing classes with its mistakes: read both
figures beside those of real images, the floor.
"""

import functools

import numpy as np

from zoo.evaluation import features
from zoo.evaluation.intervals import bootstrap, of_bootstrap
from zoo.evaluation.metric import Comparison, OfSamples

BOOTSTRAPS = 20


def kl_to_uniform(classes: np.ndarray, num_classes: int) -> float:
    """KL(p | uniform) of the shares p of classes, int [N], in nats."""
    p = np.bincount(classes, minlength=num_classes) / len(classes)
    known = p[p > 0]
    return float((known * np.log(known * num_classes)).sum())


def classes_covered(probabilities: np.ndarray, seed: int = 0) -> dict:
    """Both figures of p(y|x), [N, K]."""
    classes, k = probabilities.argmax(1), probabilities.shape[1]
    kl = functools.partial(kl_to_uniform, num_classes=k)
    draws = bootstrap(kl, classes, repeats=BOOTSTRAPS, seed=seed)
    covered = {"mean": float(len(np.unique(classes))), "standard_error": None}
    return {
        "classes_covered": covered,
        "kl_to_uniform_nats": {**of_bootstrap(kl(classes), draws), "draws": None},
    }


def _of_samples(c: Comparison) -> dict:
    features.check_classifies(c.net)
    return classes_covered(c.of_fake[1], c.seed)


METRIC = OfSamples(
    names=("classes_covered", "kl_to_uniform_nats"),
    of_samples=_of_samples,
    of_floor=lambda c: classes_covered(c.of_real[1], c.seed),
    protocol={"error": f"{BOOTSTRAPS} bootstraps"},
    in_features=True,
    least_classes=100,
)
