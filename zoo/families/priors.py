"""Priors p(z) of real latents: N(0, I), or one that is learned with the rest of the model.

    prior=standard  p(z) = N(0, I)
    prior=mixture   p(z) = sum_k w_k N(mu_k, diag(sigma_k^2)), all learned
    prior=vamp      p(z) = 1/K sum_k q(z|u_k)  (Tomczak & Welling 2018, arXiv:1705.07120, eq. 9):
                    the encoder's own posteriors of K learned images u_k, the pseudo-inputs
    prior=flow      z = f(u), u ~ N(0, I), by affine couplings f (`zoo/nn/flows.py`):
                    log p(z) = log N(f^-1(z); 0, I) + log |det df^-1/dz|
                    (as a prior: Xu et al. 2019, arXiv:1905.13452)

The prior with the best ELBO is the mean of the posteriors of all images, which is far from N(0, I)
where posteriors are narrow: samples are then decoded from places that no image has. The KL to
N(0, I) has a closed form. To the others it is log q(z|x)/p(z) at the draw that p(x|z) takes, the KL
in expectation. An untrained flow is the identity, and its prior N(0, I).

The flow of a conditional model is told the label (Sohn et al. 2015, Learning structured output
representation using deep conditional generative models, eq. 4): z = f(u, y) ~ p(z|y), the mean of
the posteriors of a class's images. The other priors do not depend on it: p(z|y) = p(z).
"""

import math

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import keras
import tensorflow as tf

from zoo.core import checks
from zoo.errors import InputError
from zoo.families.latent_variable import LatentVariableModel
from zoo.math import bounds, distributions, mixtures
from zoo.math.noise import standard_normal, stateless_seed
from zoo.nn import flows

tfd = tfp.distributions


class FlowPrior(flows.Flowed):
    """N(0, I) moved by a flow; there is only one, so its moments may be precise."""

    NUM_DRAWS = 4096


class LearnedPriorModel(LatentVariableModel):
    """p(x, z) = p(x|z) p(z) whose p(z) is that of `config.prior`.

    Its configuration has `num_prior_components`, `num_prior_flows` and `prior_hidden` too. Its
    constructor calls `add_prior`. For prior=vamp posteriors must be diagonal Gaussians, or mixtures
    of them.
    """

    def add_prior(self) -> None:
        """Adds the weights of the prior.

        Raises:
          InputError: a flow, and a single latent dimension, which has no halves.
        """
        c, normal = self.config, keras.initializers.RandomNormal
        if c.prior == "mixture":
            shape = (c.num_prior_components, self.latent_dim)
            one = keras.initializers.Constant(math.log(math.e - 1))  # softplus gives 1
            self.prior_logits = self.add_weight(
                shape[:1], "zeros", name="prior_logits", trainable=shape[0] > 1
            )
            self.prior_loc = self.add_weight(shape, normal(stddev=0.5), name="prior_loc")
            self.prior_raw_scale = self.add_weight(shape, one, name="prior_raw_scale")
        if c.prior == "vamp":
            shape = (c.num_prior_components, *self.image_shape)
            self.raw_pseudo_inputs = self.add_weight(
                shape, normal(stddev=1.0), name="raw_pseudo_inputs"
            )
        if c.prior == "flow":
            if self.latent_dim < 2:
                raise InputError("prior=flow needs latent_dim=2 or more: a coupling moves a half")
            self.prior_flows = flows.couplings(
                self.latent_dim,
                c.num_prior_flows,
                c.prior_hidden,
                context_dim=self.num_classes if self.conditional else 0,
                name="prior_flow",
            )
            self.can = self.can - {"kl_per_dim"}

    @property
    def num_prior_components(self) -> int:
        """Components of the prior, or its pseudo-inputs; 1 where it is no mixture."""
        c = self.config
        return c.num_prior_components if c.prior in ("mixture", "vamp") else 1

    @property
    def pseudo_inputs(self) -> tf.Tensor:
        """The learned images u_k of the VampPrior, [K, H, W, C] in [0, 1]."""
        return tf.sigmoid(self.raw_pseudo_inputs)

    @property
    def component_labels(self) -> tf.Tensor | None:
        """Of a conditional model the classes in turn, one for each component of the prior, [K]."""
        if not self.conditional:
            return None
        return tf.range(self.num_prior_components) % self.num_classes

    def p_z(self, labels=None) -> tfd.Distribution:
        """The prior p(z), of event shape [latent_dim]; or p(z|y) of labels [B], of batch shape [B].

        Raises:
          InputError: a conditional model's flow, and no labels.
        """
        prior = self.config.prior
        if prior == "mixture":
            scale = distributions.positive(self.prior_raw_scale)
            return mixtures.mixture(self.prior_logits, self.prior_loc, scale)
        if prior == "vamp":
            return mixtures.average(self.q_z_given_x(self.pseudo_inputs, self.component_labels))
        lead, y = [], None
        if prior == "flow" and self.conditional:
            y = self.one_hot(labels)
            lead = [tf.shape(y)[0]]
        zeros = tf.zeros([*lead, self.latent_dim])
        standard = tfd.MultivariateNormalDiag(zeros, tf.ones_like(zeros))
        if prior == "flow":
            flow = flows.chain(self.prior_flows, self.latent_dim, y, shuffled=True)
            return FlowPrior(standard, flow)
        return standard

    def draw_prior(self, num_samples, seed, labels=None, temperature: float = 1.0) -> tf.Tensor:
        """Latents z ~ p(z), [num_samples, latent_dim]; or z ~ p(z|y) of as many labels.

        Args:
          num_samples: how many.
          seed: an integer; the same one gives the same latents.
          labels: int32 [num_samples] of a conditional model's flow.
          temperature: multiplies the standard deviations of N(0, I), also of that which a flow
            moves, or of each component of a mixture.
        """
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        noise = temperature * standard_normal([num_samples, self.latent_dim], seed)
        if self.config.prior == "standard":
            return noise
        if self.config.prior == "flow":
            return self.p_z(self.labels_of(noise, labels)).bijector.forward(noise)
        log_pi, loc, scale = mixtures.parts(self.p_z())
        k = mixtures.choose(tf.broadcast_to(log_pi, [num_samples, log_pi.shape[-1]]), seed)
        return tf.gather(loc, k) + tf.gather(scale, k) * noise

    def prior_weights(self) -> tf.Tensor:
        """How much each component of a learned mixture weighs, [K] with a sum of 1."""
        return tf.exp(mixtures.parts(self.p_z())[0])

    def prior_images(self) -> tf.Tensor:
        """An image for each component of the prior, [K, H, W, C], the heaviest first.

        It is the mean of p(x|z) at the component's, which of a VampPrior is that of q(z|u_k). (The
        pseudo-inputs u_k themselves may go on looking like the noise that they begin as.)
        """
        labels = self.component_labels
        if self.config.prior == "vamp":
            return self.generate(self.q_z_given_x(self.pseudo_inputs, labels).mean(), labels)
        log_w, loc, _ = mixtures.parts(self.p_z())
        return self.generate(tf.gather(loc, tf.argsort(-log_w, stable=True)), labels)

    def kl_per_dim(self, images, labels=None) -> tf.Tensor:
        """KL(q(z_j|x) || p(z_j)) of each dimension's marginals in nats, [N, latent_dim].

        Where one of them is a mixture it is an unbiased estimate of one draw a component, always
        the same for a batch: precise as a mean over many images only. As the dimensions of a
        mixture depend on each other, the sum over j is not the KL.

        Raises:
          InputError: the marginals of a flow are not known.
        """
        if "kl_per_dim" not in self.can:
            raise InputError(
                f"{self.name} with prior={self.config.prior}: the KL of each latent dimension is "
                "not known"
            )
        q = self.encode(images, labels)
        z, pi = mixtures.stratified(q, stateless_seed(0))
        p = mixtures.marginals(self.p_z())
        return bounds.kl(mixtures.marginals(q), p, draws=z, weights=pi[..., None])
