"""The VAE with a normalizing flow as its posterior (Rezende & Mohamed 2015, arXiv:1505.05770).

    z_0 = m(x) + s(x) * noise,   z = f_T(... f_1(z_0)),
    log q(z|x) = log N(z_0; m, diag(s^2)) - sum_t log |det df_t/dz_{t-1}|                  (eq. 7)

Each f is an affine coupling (Dinh et al. 2017, arXiv:1605.08803, eq. 4-8; `zoo/nn/flows.py`) whose
functions see the image too, by a context h(x) that the encoder gives, as in inverse autoregressive
flows (Kingma et al. 2016, arXiv:1606.04934).

Both directions cost the same, so log q(z|x) is exact at any z. An untrained coupling is the
identity: training starts from the VAE's q(z|x), and `num_flows=0` is the VAE. The KL has no closed
form: it is log q(z|x)/p(z) at the draw that p(x|z) takes too, the VAE's KL in expectation alone.
The prior is N(0, I) by default; a VampPrior, a mixture of Gaussian posteriors, is refused.
"""

import dataclasses

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.config import field
from zoo.errors import InputError
from zoo.math import distributions
from zoo.models import vae
from zoo.nn import flows

tfd = tfp.distributions


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the VAE with a flow."""

    num_flows: int = field(4, "T, the couplings of the posterior; 0: the plain VAE.", lower=0)
    flow_hidden: tuple[int, ...] = field((128,), "Units of a coupling's hidden layers.", lower=1)
    context_dim: int = field(32, "Size of h(x), by which couplings see the image.", lower=1)


class FlowVAE(vae.VAE):
    """A VAE of images [N, H, W, C] whose posterior is a diagonal Gaussian moved by couplings.

    Raises:
      InputError: a single latent dimension has no halves; or the prior is a VampPrior.
    """

    Config = Config

    def build(self, input_shape=None):
        """Makes the network of each coupling."""
        c = self.config
        if c.num_flows and c.latent_dim < 2:
            raise InputError(
                "a coupling needs at least 2 latent dimensions: change --latent_dim or --num_flows"
            )
        if c.num_flows and c.prior == "vamp":
            raise InputError(
                "flow_vae knows prior=standard, mixture and flow: prior=vamp needs posteriors that "
                "are Gaussians, so num_flows=0"
            )
        self.flows = flows.couplings(
            c.latent_dim, c.num_flows, c.flow_hidden, context_dim=c.context_dim, name="flow"
        )
        if self.flows and c.prior != "standard":  # no closed form of the marginals' KL
            self.can = self.can - {"kl_per_dim"}
        super().build(input_shape)

    def make_encoder(self, input_shape, output_size):
        """A network of the image: m(x), raw s(x) and the context h(x)."""
        context = self.config.context_dim if self.config.num_flows else 0
        return super().make_encoder(input_shape, output_size + context)

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """q(z|x): N(m(x), diag(s(x)^2)) moved by the flow, of batch shape [B]."""
        output = self.run_encoder(images, None, training)
        raw, context = tf.split(output, [2 * self.latent_dim, -1], axis=-1)
        base = tfd.MultivariateNormalDiag(*distributions.loc_and_scale(raw))
        if not self.flows:
            return base  # whose KL has a closed form
        return flows.Flowed(base, flows.chain(self.flows, self.latent_dim, context))

    def draw(self, distribution, seed):
        """Gives z = f_T(... f_1(m + s * noise)), [B, latent_dim]."""
        if not self.flows:
            return super().draw(distribution, seed)
        return distribution.bijector.forward(super().draw(distribution.distribution, seed))

    def losses(self, images, labels, training):
        """The VAE's, whose KL is by the draw that p(x|z) takes."""
        if not self.flows:
            return super().losses(images, labels, training)
        q = self.q_z_given_x(images, labels, training)
        z_0 = super().draw(q.distribution, self.next_seed())
        z = q.bijector.forward(z_0)
        log_q = q.distribution.log_prob(z_0) - q.bijector.forward_log_det_jacobian(z_0)  # eq. 7
        reconstruction = self.p_x_given_z(z, labels, training).log_prob(images)
        return self.elbo_terms(reconstruction, log_q - self.p_z().log_prob(z))

    def kl_per_dim(self, images, labels=None) -> tf.Tensor:
        """KL(q(z_j|x) || p(z_j)) of each dimension, estimated from below, nats [N, latent_dim].

        It is the KL of the Gaussian with mean and variance of the marginal q(z_j|x), whose own KL
        is that and the entropy that it lacks of the Gaussian's: equal where the marginal is
        Gaussian. Mean and variance are the posterior's estimates, by whose error it can be off.
        """
        return super().kl_per_dim(images, labels)
