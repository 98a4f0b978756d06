"""A conditional model built of parts that were not trained for it, by Bayes' rule.

    p(x|y) = p(y|x) p(x) / p(y),   log p(x, y) = log p(y|x) + log p(x)

p(y|x) is any classifier, p(x) any unconditional model with a likelihood, and p(y) by default what
the two imply, E_{x ~ p(x)}[p(y|x)], by Monte Carlo: any other p(y) would leave p(x|y) without its
sum of 1. Where log p(x) is a lower bound, so is log p(x|y). The classifier's logits can be divided
by a temperature (Guo et al. 2017, section 4.2), which makes another p(y|x) of it.

With a guidance s, images are more typical of their class (Dhariwal & Nichol 2021, arXiv:2105.05233,
section 4.3): p(y|x)^s takes p(y|x)'s place, as if s judges had said y, each by itself. Over y it
does not sum to 1: p(x, y) is p(x) p(y|x)^s over its sum over x and y, and p(y) what that implies.

Images of a class are drawn in one of two ways. `sir`, sampling-importance-resampling (Rubin 1988):
candidates x_i ~ p(x) are drawn again with weights w_i = p(y|x_i)^s; the effective sample size
(sum_i w_i)^2 / sum_i w_i^2 says how many of them count. One set of candidates serves a call, so an
image comes again where many are asked for. `mcmc`, for latents that are real numbers:
Hamiltonian Monte Carlo on p(z|y), which is proportional to p(y|x = E[x|z])^s p(z), one chain an
image; the share of accepted steps and R-hat (Gelman & Rubin 1992; Brooks & Gelman 1998, eq. 1.1 and
its root) say whether to trust it: R-hat is near 1 where chains of a class have mixed. Where
p(x) has a decoder of gray levels, both show and weigh its means, as other samples do: images are
then E[x|z] of z ~ p(z | y), with p(y|E[x|z]) in p(y|z)'s place, while `log_prob` is of x itself. By
`observation="sample"` the candidates of `sir` are x ~ p(x), and what is drawn is of that p(x|y).
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import numpy as np
import tensorflow as tf

from zoo.core import checks
from zoo.core.batches import of_at_least
from zoo.core.config import field
from zoo.errors import InputError
from zoo.families.base import LABELS, SEED, ImageModel
from zoo.math.noise import stateless_seed
from zoo.math.pixels import in_unit_range

tfd = tfp.distributions


_CANDIDATES = 2000  # that are drawn at a time
MIXED = 1.1  # R-hat of chains that have (Gelman et al. 2013, section 11.4)


@dataclasses.dataclass(frozen=True)
class Config:
    """Parts of the composition, and how it draws."""

    p_y_given_x: str = field(
        "classifier", "p(y|x): a pretrained classifier, or a workdir.", path="reference"
    )
    p_x: str = field(
        "gmm_vae", "p(x): a pretrained model with a likelihood, or a workdir.", path="reference"
    )
    temperature: float = field(
        1.0,
        "Divides p(y|x)'s logits: below 1 a classifier that is surer of itself.",
        lower=1e-3,
    )
    guidance: float = field(
        1.0,
        "s of p(y|x)^s p(x): above 1 images that are typical of their class, and less varied.",
        lower=1e-3,
    )
    method: Literal["sir", "mcmc"] = field(
        "sir", "How images of a class are drawn: resampled candidates, or Hamiltonian Monte Carlo."
    )
    num_candidates: int = field(2000, "Draws of p(x), for sir and for p(y).", lower=1)
    num_burnin: int = field(150, "Steps of a chain before the first that counts (mcmc).", lower=1)
    num_steps: int = field(50, "Steps that count; the last is the image's (mcmc).", lower=4)
    num_leapfrog: int = field(5, "Leapfrog steps of one step (mcmc).", lower=1)


class Drawn(NamedTuple):
    """Images of p(x|y), and how well it went to draw them.

    Attributes:
      images: float32 [N, H, W, C] in [0, 1].
      diagnostics: for `sir` the `effective_sample_size` of each class, [K]; for `mcmc` the
        `acceptance`, the share of accepted steps, and the `r_hat` of each class, [K].
      trace: of chains the accepted share, the step size and log (p(y|x)^s p(z)) step by step,
        [num_burnin + num_steps].
      warnings: which classes do not look well drawn.
    """

    images: tf.Tensor
    diagnostics: dict[str, np.ndarray]
    trace: dict[str, np.ndarray]
    warnings: list[str]


class BayesConditional(ImageModel):
    """p(x|y) of images [N, H, W, C] and labels [N], made of p(y|x), p(x) and p(y)."""

    Config = Config
    can = frozenset({"sample", "draw", "log_prob"})
    parts = ("p_y_given_x", "p_x")
    conditional = True

    def __init__(self, config=None, *, p_y_given_x, p_x, p_y=None, **kwargs):
        """A composition.

        Args:
          config: how it draws.
          p_y_given_x: a classifier: gives logits [N, K] when called on images.
          p_x: an unconditional model with `log_prob` and `sample`; for `mcmc` also with latents.
          p_y: probabilities [K], without guidance; those that the parts imply, when left out.
          **kwargs: Keras' own.

        Raises:
          InputError: the parts do not fit together, or cannot be drawn from in this way.
        """
        classifier, unconditional = p_y_given_x, p_x
        shared = {"image_shape": unconditional.image_shape, "num_classes": classifier.num_classes}
        super().__init__(config, **{**kwargs, **shared})
        self.classifier, self.unconditional = classifier, unconditional
        if "classify" not in classifier.can:
            raise InputError(f"{classifier.name} is no p(y|x): choose a classifier")
        if tuple(classifier.image_shape) != self.image_shape:
            raise InputError(f"{classifier.name} and {unconditional.name} know different images")
        if unconditional.conditional or "log_prob" not in unconditional.can:
            raise InputError(
                f"{unconditional.name} is no p(x): choose an unconditional model with a likelihood"
            )
        if self.config.method == "mcmc":
            real = "prior" in unconditional.can and unconditional.axes
            if not real or unconditional.num_categories:
                raise InputError(
                    f"{unconditional.name} has no latents to walk in: use --method=sir"
                )
            if self.binary:  # p(y|.) of the gray means is not that of what would be drawn
                raise InputError(
                    f"{unconditional.name} draws black and white pixels, whose means are no "
                    "images of its kind: use --method=sir"
                )
        if p_y is not None and self.config.guidance != 1:
            raise InputError("p(y) is what guidance makes of it: leave p_y or the guidance out")
        self._log_normalizer = None if p_y is None else np.log(np.float32(p_y / np.sum(p_y)))
        self._normalizer_error = np.zeros(self.num_classes, np.float32)  # of one that is given
        self.build()

    @property
    def exact(self) -> bool:
        """Whether `log_prob` is no bound, but for the error of an estimated p(y)."""
        return self.unconditional.exact

    @property
    def binary(self) -> bool:
        """As p(x) is."""
        return self.unconditional.binary

    def p_y_given_x(self, images) -> tfd.Distribution:
        """p(y|x), the classifier's at its temperature, of images [N, H, W, C]."""
        # unchecked: a chain may propose what gives no numbers, and is then to refuse it
        logits = getattr(self.classifier, "logits", self.classifier)
        logits = self.in_batches(logits, images)
        return tfd.Categorical(logits=logits / self.config.temperature)

    def log_weights(self, images) -> tf.Tensor:
        """Of every class y, s log p(y|x): [N, K]."""
        return self.config.guidance * tf.nn.log_softmax(self.p_y_given_x(images).logits)

    def log_normalizer(self) -> tf.Tensor:
        """Log E_{x ~ p(x)}[p(y|x)^s], [K], by `num_candidates` draws; log p(y) where s = 1.

        The draws are the same ones each time, so that it is estimated once.
        """
        if self._log_normalizer is None:
            with tf.init_scope():  # a constant, whatever graph asks first
                log_w = self._candidates(stateless_seed(0), "sample")[1]
                count = tf.cast(tf.shape(log_w)[0], tf.float32)
                self._log_normalizer = (tf.reduce_logsumexp(log_w, 0) - tf.math.log(count)).numpy()
                # the weights' deviation over their mean and the root of their number
                square = 1 / effective_sample_size(log_w) - 1 / count
                self._normalizer_error = np.sqrt(np.maximum(square, 0))  # rounding, of equal ones
        return tf.constant(self._log_normalizer)

    def normalizer_error(self) -> np.ndarray:
        """The standard error of `log_normalizer`, nats [K]; 0 where p(y) was given."""
        self.log_normalizer()
        return self._normalizer_error

    def p_y(self) -> tfd.Distribution:
        """p(y), by default E_{x ~ p(x)}[p(y|x)^s] over its sum, estimated by `log_normalizer`."""
        return tfd.Categorical(logits=self.log_normalizer())

    def log_joint(self, images, labels, num_samples=1, seed=None) -> tf.Tensor:
        """Log p(x, y) = log (p(y|x)^s p(x)) - log sum_y E[p(y|x)^s], nats [N]; see `log_prob`."""
        product = self._log_product(images, labels, num_samples, seed)
        if self.config.guidance == 1:  # p(y|x) sums to 1
            return product
        return product - tf.reduce_logsumexp(self.log_normalizer())

    def _log_product(self, images, labels, num_samples, seed) -> tf.Tensor:
        """S log p(y|x) + log p(x), [N]."""

        def product(x, y, seed):
            x = self.unconditional.on_levels(in_unit_range(x))  # both parts see the same image
            log_p_x = self.unconditional.log_prob(x, num_samples=num_samples, seed=seed)
            return tf.reduce_sum(self.one_hot(y) * self.log_weights(x), -1) + log_p_x

        images, labels = self.asked(images, labels)
        return self.in_batches(product, images, labels, seed=stateless_seed(seed))

    def log_prob(self, images, labels=None, num_samples=1, seed=None) -> tf.Tensor:
        """Log p(x|y) = log p(x, y) - log p(y), nats an image [N].

        A lower bound where the `log_prob` of p(x) is one, else exact; but for the error of p(y), if
        that is estimated (`normalizer_error`): 2,000 draws of a class of a tenth leave some 0.07
        nats, and with guidance more.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: int32 [N].
          num_samples: of p(x)'s bound.
          seed: likewise.
        """
        # log p(x|y) = s log p(y|x) + log p(x) - log E_{p(x)}[p(y|x)^s]
        product = self._log_product(images, labels, num_samples, seed)
        labels = self.labels_of(images, labels)
        return product - tf.linalg.matvec(self.one_hot(labels), self.log_normalizer())

    def bits_per_dim(self, nats) -> tf.Tensor:
        """Code length in bits a pixel and channel, as p(x) counts it."""
        return self.unconditional.bits_per_dim(nats)

    def sample(
        self,
        num_samples,
        labels=None,
        seed=None,
        progress: bool = False,
        observation: str = "mean",
    ) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1] of p(x|y): those of `draw`, which says more.

        Args:
          num_samples: how many.
          labels: as for `draw`, and so are the others.
          seed: an integer; the same one gives the same images.
          progress: whether a p(x) that draws pixel by pixel counts its rows on stderr.
          observation: `mean` or `sample`.

        Raises:
          InputError: draws of p(x|z) are asked of `mcmc`, or there are not as many labels.
        """
        return self._sampled(num_samples, labels, seed, progress, observation)[0]

    def draw(
        self,
        num_samples,
        labels=None,
        seed=None,
        progress: bool = False,
        observation: str = "mean",
    ) -> Drawn:
        """Images of p(x|y), and how well it went to draw them.

        Args:
          num_samples: how many.
          labels: int32 [num_samples]; drawn uniformly when left out.
          seed: an integer; the same one gives the same images.
          progress: whether a p(x) that draws pixel by pixel counts its rows on stderr.
          observation: of a p(x) with a decoder of gray levels, `mean` to weigh and show its means,
            `sample` draws of p(x|z).

        Raises:
          InputError: draws of p(x|z) are asked of `mcmc`, or there are not as many labels.
        """
        images, labels, diagnostics, trace = self._sampled(
            num_samples, labels, seed, progress, observation
        )
        diagnostics, trace = (
            {k: np.asarray(v) for k, v in d.items()} for d in (diagnostics, trace)
        )
        return Drawn(images, diagnostics, trace, self._warnings(diagnostics, np.asarray(labels)))

    def _sampled(self, num_samples, labels, seed, progress, observation):
        """Images, their labels, how it went, and step by step."""
        if observation == "sample" and self.config.method == "mcmc":
            raise InputError("chains weigh means of p(x|z): draws of it go with --method=sir")
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        labels = self._known(self.labels_for(num_samples, labels, seed))
        images, diagnostics, trace = self._draw(labels, seed, progress, observation)
        return images, labels, diagnostics, trace

    def _known(self, labels) -> tf.Tensor:
        """Labels int32 [N], checked."""
        return tf.argmax(self.one_hot(labels), -1, tf.int32)

    def _draw(self, labels, seed, progress: bool = False, observation: str = "mean"):
        """Images, how it went, and step by step."""
        if self.config.method == "mcmc":
            return self._walk(labels, seed)
        return *self._resample(labels, seed, progress, observation), {}

    def _warnings(self, diagnostics: dict[str, np.ndarray], labels: np.ndarray) -> list[str]:
        """What a diagnostics has against images of these labels, [N]."""
        asked_for = np.bincount(labels, minlength=self.num_classes)
        if (r_hat := diagnostics.get("r_hat")) is not None:
            apart = [str(k) for k in np.flatnonzero((asked_for > 0) & ~(r_hat <= MIXED))]
            if not apart:
                return []
            return [
                f"chains of class {', '.join(apart)} have not mixed (R-hat not below {MIXED}): "
                "take more --num_burnin and --num_steps, or --method=sir"
            ]
        size = diagnostics["effective_sample_size"]
        few = [f"{k} ({size[k]:.0f})" for k in np.flatnonzero(size < asked_for)]
        if not few:
            return []
        return [
            f"of class {', '.join(few)} fewer candidates count (effective sample size) than images "
            "are asked for, so that some come again; take more --num_candidates"
        ]

    def call(self, images, training=False) -> tf.Tensor:
        """Log p(x|y) of a pair (images, labels)."""
        return self.log_prob(*images)

    def _candidates(self, seed, observation: str, progress: bool = False):
        """Draws x_i of p(x), or the decoder's means in their place, and s log p(y|x_i), [M, K]."""
        options = {"observation": observation} if "decode" in self.unconditional.can else {}
        options |= {"progress": True} if progress and "complete" in self.unconditional.can else {}
        with of_at_least(_CANDIDATES):
            images = self.unconditional.sample(self.config.num_candidates, seed=seed, **options)
            return images, self.log_weights(images)

    def _resample(self, labels, seed, progress: bool, observation: str):
        """Candidates drawn again by log w = s log p(y|x): images, and effective sample sizes."""
        # 1 and 2 have drawn labels elsewhere
        seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in (3, 4)]
        observation = "sample" if self.binary else observation
        images, log_w = self._candidates(seeds[0], observation, progress)
        size = effective_sample_size(log_w)
        log_w = tf.transpose(log_w)  # [K, M]
        count = tf.shape(labels)[0]
        drawn = tf.random.stateless_categorical(log_w, count, seeds[1], tf.int32)  # [K, count]
        chosen = tf.gather_nd(drawn, tf.stack([labels, tf.range(count)], -1))
        return tf.gather(images, chosen), {"effective_sample_size": size}

    @tf.function(autograph=False, reduce_retracing=True)
    def _walk(self, labels, seed):
        """A chain of Hamiltonian Monte Carlo on p(z|y) an image: images, diagnostics and trace."""
        c, model = self.config, self.unconditional
        p_z, one_hot = model.p_z(), self.one_hot(labels)

        def log_p(z):  # log p(z) + s log p(y|x), which is log p(z|y) but for a constant
            log_w = self.log_weights(model.generate(z))
            return p_z.log_prob(z) + tf.reduce_sum(one_hot * log_w, -1)

        def trace(_, results):
            hmc = results.inner_results
            accepted = tf.cast(hmc.is_accepted, tf.float32)
            log_p_z_y = hmc.accepted_results.target_log_prob
            step_size = hmc.proposed_results.step_size
            return tf.reduce_mean(accepted), step_size, tf.reduce_mean(log_p_z_y)

        hmc = tfp.mcmc.HamiltonianMonteCarlo(log_p, 0.1, num_leapfrog_steps=c.num_leapfrog)
        adapting = tfp.mcmc.DualAveragingStepSizeAdaptation(
            hmc, num_adaptation_steps=int(0.8 * c.num_burnin), target_accept_prob=0.75
        )
        seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in (3, 4)]
        z, trace = tfp.mcmc.sample_chain(  # the burn-in too, which the trace shows
            c.num_burnin + c.num_steps,
            model.draw_prior(tf.shape(labels)[0], seeds[0]),
            kernel=adapting,
            trace_fn=trace,
            seed=seeds[1],
        )  # z: [num_burnin + num_steps, N, latent_dim]
        trace = dict(zip(("acceptance", "step_size", "log_p_z_y_nats"), trace, strict=True))
        z, accepted = z[c.num_burnin :], trace["acceptance"][c.num_burnin :]
        diagnostics = {"acceptance": tf.reduce_mean(accepted)}
        diagnostics["r_hat"] = tf.stack(
            [self._r_hat(z, labels == k) for k in range(self.num_classes)]
        )
        return model.generate(z[-1]), diagnostics, trace

    def _r_hat(self, z, mine):
        """The greatest R-hat of a latent dimension over the chains of one class; NaN without any.

        Each is split in two (Gelman et al. 2013, section 11.4), so one is enough.
        """
        chains = tf.boolean_mask(z, mine, axis=1)

        def of_chains():  # TFP's is the ratio of variances
            ratio = tfp.mcmc.potential_scale_reduction(chains, split_chains=True)
            return tf.sqrt(tf.reduce_max(ratio))

        nan = tf.constant(np.nan, tf.float32)
        return tf.cond(tf.shape(chains)[1] > 0, of_chains, lambda: nan)

    def endpoints(self) -> dict[str, Any]:
        """`sample`, which says how well it went too, and `log_prob`, whose labels come last."""
        self.p_y()

        def sample(labels, seed):
            images, diagnostics, _ = self._draw(self._known(labels), stateless_seed(seed))
            return {"images": images, **diagnostics}

        return {"sample": (sample, [LABELS, SEED]), "log_prob": self._bound_endpoint()}


def effective_sample_size(log_w: tf.Tensor) -> tf.Tensor:
    """(sum_i w_i)^2 / sum_i w_i^2 of each column of log weights [M, K]: [K] (Kong 1992)."""
    return tf.exp(2 * tf.reduce_logsumexp(log_w, 0) - tf.reduce_logsumexp(2 * log_w, 0))
