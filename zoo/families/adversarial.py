"""A generator and a discriminator, trained against each other."""

import math
import numbers

import keras
import tensorflow as tf

from zoo.core import checks
from zoo.errors import InputError
from zoo.families import averaging
from zoo.families.base import LABELS, Endpoint, ImageModel
from zoo.math.noise import standard_normal, stateless_seed
from zoo.math.pixels import in_unit_range


class AdversarialModel(ImageModel):
    """A generator G and a discriminator D that play against each other.

    A model of this family has `generator`, `discriminator`, `latent_dim`, and defines `generate`,
    `discriminate`, `d_losses` and `g_losses`. The generator's optimizer is Keras' `optimizer`.

    Where it has `average`, a second network like `generator`, that one follows G's weights slowly
    and makes whatever is drawn (Yazici et al. 2019, arXiv:1806.04498). The game is G's own.
    """

    can = frozenset({"sample", "generate", "discriminate"})
    latent_dim: int
    generator: keras.Model
    discriminator: keras.Model
    average: keras.Model | None = None
    equilibrium = -math.log(4)  # what `value` is when G makes what is real and D is at its best
    takes_weights = False
    watched = True
    real_target = 1.0  # what D(x) is to be for real images, where it is a probability
    probabilistic = True  # whether `d_real` and `d_fake` are probabilities, and not scores
    from_noise = True  # whether the first weights are noise, and not those of another run
    tracked = ("value", "d_real", "d_fake", "d_loss", "g_loss", "d_grad_norm", "g_grad_norm")

    @property
    def discriminator_steps(self) -> int:
        """Steps of D for each of G; a training batch is split into as many distinct parts."""
        return getattr(self.config, "discriminator_steps", 1)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generator's step moves."""
        return self.generator.trainable_variables

    @property
    def averages(self) -> list[tuple[keras.Model, keras.Model]]:
        """Pairs of a network of averages and the network whose weights it follows."""
        return [] if self.average is None else [(self.average, self.generator)]

    def num_parameters(self) -> int:
        """Weights of the players: averages are none of their own."""
        return self.count_params() - sum(average.count_params() for average, _ in self.averages)

    def start_averages(self) -> None:
        """Makes the averages what the networks are at first; `config.ema_decay` is their decay."""
        for average, network in self.averages:
            average.trainable = False
            average.set_weights(network.get_weights())

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        **kwargs,
    ):
        """Keras' `compile` with a second optimizer and so a step size for each player.

        Args:
          optimizer: the generator's.
          discriminator_optimizer: the discriminator's.
          **kwargs: Keras' own (`jit_compile`, `steps_per_execution`, ...).
        """
        super().compile(optimizer=optimizer, **kwargs)
        discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(discriminator_optimizer, scaled):
            # Keras wraps only its own one, and an unscaled float16 loss underflows silently
            discriminator_optimizer = scaled(discriminator_optimizer)
        self.discriminator_optimizer = discriminator_optimizer
        self.optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def optimizers(self, recipe, new) -> dict[str, keras.optimizers.Optimizer]:
        """One for each player, of which D takes several steps in a train step."""
        second = new(recipe.discriminator_learning_rate, self.discriminator_steps)
        return {**super().optimizers(recipe, new), "discriminator_optimizer": second}

    def get_compile_config(self):
        """Keras' own, with the second optimizer and how the averages begin."""
        if not self.compiled:
            return {}
        second = keras.saving.serialize_keras_object(self.discriminator_optimizer)
        return {
            **super().get_compile_config(),
            "discriminator_optimizer": second,
            "from_noise": self.from_noise,
        }

    def compile_from_config(self, config):
        """Compiles the model as the one was that `get_compile_config` is of."""
        self.from_noise = config.pop("from_noise")
        super().compile_from_config(config)

    def run_generator(self, latents, labels, training: bool, by=None) -> tf.Tensor:
        """G(z): latents [N, latent_dim] and labels [N] or None -> images [N, H, W, C] in [0, 1].

        `by` is the network that makes them; when left out G's average, if it has one.
        """
        raise NotImplementedError

    def run_discriminator(self, images, labels, training: bool) -> tf.Tensor:
        """Logits [N] of D(x), of float32 images [N, H, W, C] (in [0, 1] but for augmented ones)."""
        raise NotImplementedError

    def generate(self, latents, labels=None, training: bool = False, by=None) -> tf.Tensor:
        """G(z): latents [N, latent_dim] -> images [N, H, W, C] in [0, 1].

        `by` is the network that makes them; when left out G's average, if it has one.

        Raises:
          InputError: latents of another shape; labels that are wrong, missing or not asked for.
        """
        latents = checks.latents(latents, self.latent_dim)
        labels = self.labels_of(latents, labels)
        if training:
            return self.run_generator(latents, labels, training, by)
        return self.in_batches(lambda z, y: self.run_generator(z, y, training, by), latents, labels)

    def fake_images(self, latents, labels, training: bool) -> tf.Tensor:
        """G(z) as D is to see it in the game: made by G itself."""
        return self.run_generator(latents, labels, training, by=self.generator)

    def discriminate(self, images, labels=None, training: bool = False) -> tf.Tensor:
        """Logits [N] of D(x), the probability that images [N, H, W, C] are real.

        An unconditional D needs no labels, and does not mind them. Images are float32 in [0, 1], or
        uint8.

        Raises:
          InputError: the images or the labels are not what this model takes.
        """
        images, labels = self.asked(images, labels if self.conditional else None)

        def logits(x, y):
            return self.run_discriminator(in_unit_range(x), y, training)

        return logits(images, labels) if training else self.in_batches(logits, images, labels)

    def d_losses(self, images, labels, latents, training: bool) -> dict[str, tf.Tensor]:
        """Per-example quantities; `d_loss` is what the discriminator minimizes."""
        raise NotImplementedError

    def g_losses(self, images, labels, latents, training: bool) -> dict[str, tf.Tensor]:
        """Per-example quantities; `g_loss` is what the generator minimizes."""
        raise NotImplementedError

    def call(self, latents, training=False) -> tf.Tensor:
        """G(z), or G(z, y) of a pair (latents, labels)."""
        return self.generate(*(latents if self.conditional else (latents,)), training=training)

    def draw_prior(self, num_samples, seed, truncation: float | None = None) -> tf.Tensor:
        """Latents z ~ N(0, I), [num_samples, latent_dim].

        With `truncation` each is drawn anew until |z_j| is at most so much: images become more
        alike, and more typical (Brock et al. 2019, section 3.1).

        Raises:
          InputError: `truncation` is not positive.
        """
        num_samples = checks.whole("num_samples", num_samples)
        shape, seed = [num_samples, self.latent_dim], stateless_seed(seed)
        if truncation is None:
            return standard_normal(shape, seed)
        if not (isinstance(truncation, numbers.Real) and truncation > 0):
            raise InputError(f"truncation is {truncation!r}, and must be a positive number")
        return tf.random.stateless_parameterized_truncated_normal(
            shape, seed, 0.0, 1.0, -float(truncation), float(truncation)
        )

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """Goodfellow et al. 2014, algorithm 1: k steps of D on distinct data, then one of G."""
        images, labels, _ = self._unpack(data)
        k, size = self.discriminator_steps, images.shape[0] or tf.shape(images)[0]
        for j in range(k):
            # every k-th image, so that the replicas' parts together are those of a single device
            part = slice(j % size, None, k)  # of a batch of fewer than k images some come again
            real, y = images[part], None if labels is None else labels[part]
            latents = self.draw_prior(tf.shape(real)[0], self.next_seed())
            d_values, d_norm = self._descend(
                lambda x=real, y=y, z=latents: self.d_losses(x, y, z, training=True),
                "d_loss",
                self.discriminator_optimizer,
                self.discriminator.trainable_variables,
            )
        latents = self.draw_prior(tf.shape(real)[0], self.next_seed())
        g_values, g_norm = self._descend(
            lambda: self.g_losses(real, y, latents, training=True),
            "g_loss",
            self.optimizer,
            self.generator_variables,
        )
        if self.averages:
            self._follow()
        return self._track({**d_values, **g_values, "d_grad_norm": d_norm, "g_grad_norm": g_norm})

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """V(D, G) and both losses on data that neither player learnt from."""
        images, labels, _ = self._unpack(data)
        latents = self.draw_prior(tf.shape(images)[0], self.next_seed())
        values = self.d_losses(images, labels, latents, training=False)
        return self._track({**values, **self.g_losses(images, labels, latents, training=False)})

    def _follow(self) -> None:
        """One step of the averages. First weights of another run are not soon forgotten."""
        decay = tf.constant(self.config.ema_decay)
        if self.from_noise:
            decay = averaging.decay_at(self.optimizer.iterations, self.config.ema_decay)
        for average, network in self.averages:
            averaging.follow(list(zip(average.weights, network.weights, strict=True)), decay)

    def sample(self, num_samples, labels=None, seed=None, truncation=None) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1].

        Args:
          num_samples: how many.
          labels: int32 [num_samples] for a conditional model, drawn uniformly when left out.
          seed: an integer; the same one gives the same images.
          truncation: as for `draw_prior`.
        """
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        labels = self.labels_for(num_samples, labels, seed)
        return self.generate(self.draw_prior(num_samples, seed, truncation), labels)

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `generate` and `discriminate`."""
        latents = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")

        def generate(latents, labels=None):
            return {"images": self.generate(latents, labels)}

        def discriminate(images, labels=None):
            return {"logits": self.discriminate(images, labels)}

        also = [LABELS] if self.conditional else []
        return {
            "sample": self._sample_endpoint(),
            "generate": (generate, [latents, *also]),
            "discriminate": (discriminate, [self.images_spec, *also]),
        }
