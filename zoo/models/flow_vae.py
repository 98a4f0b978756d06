"""The VAE with a normalizing flow as its posterior (Rezende & Mohamed 2015, arXiv:1505.05770).

    z_0 = m(x) + s(x) * noise,   z = f_T(... f_1(z_0)),
    log q(z|x) = log N(z_0; m, diag(s^2)) - sum_t log |det df_t/dz_{t-1}|                  (eq. 7)

Each f is an affine coupling (Dinh et al. 2017, arXiv:1605.08803, eq. 4-8): one half of z is kept,
the other is scaled and shifted by functions of the kept half, and the halves take turns. The
functions see the image too, by a context h(x) that the encoder gives, as in inverse autoregressive
flows (Kingma et al. 2016, arXiv:1606.04934):

    f(z_a, z_b) = (z_a, z_b exp(a) + b),   (b, artanh a) = network(z_a, h(x)),   log |det| = sum a

Both directions cost the same, so log q(z|x) is exact at any z. A coupling scales by e at the most,
and an untrained one is the identity (its last layer is 0): training starts from the VAE's q(z|x),
and `num_flows=0` is the VAE. The prior is N(0, I). The KL has no closed form: it is log q(z|x)/p(z)
at the draw that p(x|z) takes too, the VAE's KL in expectation alone.
"""

import dataclasses
import functools

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.batches import in_batches
from zoo.core.config import field
from zoo.errors import InputError
from zoo.math import distributions
from zoo.models import vae
from zoo.nn import networks

tfb, tfd = tfp.bijectors, tfp.distributions


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the VAE with a flow."""

    num_flows: int = field(4, "T, the couplings of the posterior; 0: the plain VAE.", lower=0)
    flow_hidden: tuple[int, ...] = field((128,), "Units of a coupling's hidden layers.", lower=1)
    context_dim: int = field(32, "Size of h(x), by which couplings see the image.", lower=1)


_BATCH = 500  # images whose draws are computed at a time


class FlowPosterior(tfd.TransformedDistribution):
    """A flow of a diagonal Gaussian, of batch shape [B], whose first two moments are estimates.

    They are those of what the flow makes of 64 fixed draws of noise, the same for every x, and so
    functions of x. The noise has mean 0 and variance 1 in each dimension, which makes both exact
    where the flow is affine in each dimension; elsewhere they err as 64 draws do, the mean by about
    stddev / 8.
    """

    NUM_DRAWS = 64

    def _draws(self):
        noise = tf.random.stateless_normal(
            [self.NUM_DRAWS, 1, self.event_shape[0]], [0, 0], alg="philox"
        )
        noise -= tf.reduce_mean(noise, 0)
        noise /= tf.math.reduce_std(noise, 0)
        loc, scale = self.distribution.mean(), self.distribution.stddev()

        def flown(noise):
            return self.bijector.forward(loc + scale * noise)

        # of many images some draws at a time: couplings have hidden layers
        size = max(1, self.NUM_DRAWS * _BATCH // max(1, loc.shape[0] or 1))
        return in_batches(flown, [noise], size)  # [64, B, D]

    def _mean(self):
        return tf.reduce_mean(self._draws(), axis=0)

    def _stddev(self):
        return tf.math.reduce_std(self._draws(), axis=0)


class FlowVAE(vae.VAE):
    """A VAE of images [N, H, W, C] whose posterior is a diagonal Gaussian moved by couplings.

    Raises:
      InputError: a single latent dimension has no halves.
    """

    Config = Config

    def build(self, input_shape=None):
        """Makes the network of each coupling."""
        c = self.config
        if c.num_flows and c.latent_dim < 2:
            raise InputError(
                "a coupling needs at least 2 latent dimensions: change --latent_dim or --num_flows"
            )
        self.flows = [
            networks.mlp(
                (kept + c.context_dim,),
                c.flow_hidden,
                (2 * (c.latent_dim - kept),),
                last="zeros",
                name=f"flow_{i}",
            )
            for i, kept in enumerate(self.kept)
        ]
        super().build(input_shape)

    @property
    def kept(self) -> list[int]:
        """How many dimensions each coupling keeps: in turn the first half and the others."""
        half = self.latent_dim // 2
        return [(half, self.latent_dim - half)[i % 2] for i in range(self.config.num_flows)]

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
        # a negative number of masked dimensions keeps the last ones
        couplings = [
            tfb.RealNVP(
                num_masked=kept if i % 2 == 0 else -kept,
                shift_and_log_scale_fn=functools.partial(shift_and_log_scale, network, context),
            )
            for i, (kept, network) in enumerate(zip(self.kept, self.flows, strict=True))
        ]
        return FlowPosterior(base, tfb.Chain(couplings[::-1]))

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


def shift_and_log_scale(network, context, kept, size, **kwargs) -> tuple[tf.Tensor, tf.Tensor]:
    """A coupling's b and a, [..., B, size] each, of the kept half of z and the context h(x).

    Args:
      network: from [N, kept and context] to [N, 2 size].
      context: [B, context_dim].
      kept: [..., B, D - size].
      size: dimensions that are moved.
      **kwargs: TFP's, empty.
    """
    lead = tf.shape(kept)[:-1]
    context = tf.broadcast_to(context, tf.concat([lead, context.shape[-1:]], axis=0))
    seen = tf.concat([kept, context], axis=-1)
    output = network(tf.reshape(seen, [-1, seen.shape[-1]]))
    shift, raw = tf.split(tf.reshape(output, tf.concat([lead, [2 * size]], axis=0)), 2, axis=-1)
    return shift, tf.tanh(raw)
