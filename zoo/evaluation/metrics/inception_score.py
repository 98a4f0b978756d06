"""The Inception Score's formula with the zoo's classifier (Salimans et al. 2016, arXiv:1606.03498).

    exp E_x[KL(p(y|x) || p(y))],   p(y) = E_x[p(y|x)]

Between 1 and the number of classes, higher is better: sure of each image, and of all classes. It
does not look at real images, whose own score is the floor.
"""

from zoo.evaluation import distances, features
from zoo.evaluation.intervals import bootstrap, of_bootstrap
from zoo.evaluation.metric import Comparison, OfSamples

BOOTSTRAPS = 20


def inception_score(probabilities, seed: int = 0) -> dict:
    """The score of p(y|x), [N, K], with its bootstrap error."""
    score = distances.inception_score
    draws = bootstrap(score, probabilities, repeats=BOOTSTRAPS, seed=seed)
    return {**of_bootstrap(score(probabilities), draws), "draws": None}


def _of_samples(c: Comparison) -> dict:
    features.check_classifies(c.net)
    return {"inception_score": inception_score(c.of_fake[1], c.seed)}


def _of_floor(c: Comparison) -> dict:
    return {"inception_score": inception_score(c.of_real[1], c.seed)}


METRIC = OfSamples(
    names=("inception_score",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    protocol={"error": f"{BOOTSTRAPS} bootstraps"},
    in_features=True,
)
