"""Models that turn noise into images in several steps, along the path of a differential equation.

    dx/dt = v(x, t),  x at time 0 is noise of N(0, I),  x at time 1 is an image

A network gives the velocity v. Images on their way are in [-1, 1], where the pixels of an image are
in [0, 1].
"""

import numbers

import tensorflow as tf

from zoo.core import checks
from zoo.errors import InputError
from zoo.families.base import LABELS, SEED, Endpoint
from zoo.families.likelihood import LikelihoodModel
from zoo.math import odes
from zoo.math.noise import standard_normal, stateless_seed
from zoo.math.pixels import in_unit_range, signed


class DenoisingModel(LikelihoodModel):
    """A model of this family has `config.sampler`, `config.num_steps` and `config.guidance`.

    It defines `losses` and `velocity`. One that is conditional knows a label more, `null_label`,
    for images whose class it is not told; it is not `guidable` if it is never trained by that.
    """

    can = frozenset({"sample", "steps", "complete"})
    watched = True
    guidable = True
    watched_options = {"num_steps": 4, "guidance": 1.0}

    @property
    def null_label(self) -> int:
        """The label that says nothing."""
        return self.num_classes

    def velocity(self, x, t, labels=None, training: bool = False) -> tf.Tensor:
        """V(x, t), or v(x, t, y).

        Args:
          x: images on their way, float32 [B, H, W, C].
          t: times in [0, 1], float32 [B].
          labels: int32 [B] of a conditional model, 0..K with `null_label`.
          training: whether dropout is on.

        Returns:
          float32 [B, H, W, C].
        """
        raise NotImplementedError

    def guided_velocity(self, x, t, labels, guidance) -> tf.Tensor:
        """V_0 + s (v_y - v_0), of v_0 without and v_y with the label (arXiv:2207.12598, eq. 6).

        Args:
          x: [B, H, W, C].
          t: float32 [], for all of them.
          labels: int32 [B], or None.
          guidance: s; 1 is the conditional model itself, 0 the unconditional one.
        """
        t = tf.fill(tf.shape(x)[:1], t)
        always = isinstance(guidance, numbers.Real)
        if labels is None or (always and guidance == 1):
            return self.velocity(x, t, labels)
        nothing = tf.fill(tf.shape(labels), self.null_label)
        if always and guidance == 0:
            return self.velocity(x, t, nothing)
        both = [tf.concat(pair, 0) for pair in ((x, x), (t, t), (nothing, labels))]
        without, told = tf.split(self.velocity(*both), 2)
        return without + guidance * (told - without)

    def num_calls(self, num_steps: int | None = None, guidance: float | None = None) -> int:
        """How often the network is asked about an image that is drawn."""
        num_steps, guidance = self._settings(num_steps, guidance)
        twice = self.conditional and guidance not in (0, 1)
        return ((num_steps - 1) * self.solver.calls + self.last.calls) * (2 if twice else 1)

    # Of the last step: where images are, the velocity changes fast, and a second look at it from a
    # place beside them does harm (as in Karras et al. 2022, arXiv:2206.00364, algorithm 1).
    last = odes.SOLVERS["euler"]

    @property
    def solver(self) -> odes.Euler | odes.Heun:
        """What makes a step."""
        return odes.SOLVERS[self.config.sampler]

    def _settings(self, num_steps, guidance) -> tuple[int, float]:
        """Those given, or the model's own.

        Raises:
          InputError: they are no whole number and no number, or the model takes no labels.
        """
        num_steps = self.config.num_steps if num_steps is None else num_steps
        num_steps = checks.whole("num_steps", num_steps, 1)
        if guidance is None:
            return num_steps, self.config.guidance if self.conditional else 1.0
        if not isinstance(guidance, numbers.Real) or not 0 <= guidance < float("inf"):
            raise InputError(f"guidance is {guidance!r}, and must be a number of at least 0")
        if guidance != 1 and not self.conditional:
            raise InputError(f"{self.name} is unconditional: guidance goes with labels")
        if guidance != 1 and not self.guidable:
            raise InputError(f"{self.name} was never trained without labels: guidance must be 1")
        return num_steps, float(guidance)

    def sample(
        self,
        num_samples,
        labels=None,
        seed=None,
        num_steps: int | None = None,
        guidance: float | None = None,
        progress: bool = False,
    ) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1].

        Args:
          num_samples: how many.
          labels: int32 [num_samples] for a conditional model, drawn uniformly when left out.
          seed: an integer; the same one gives the same images.
          num_steps: of the sampler; more are slower and nearer to the model's distribution.
          guidance: how much the label counts; above 1 images are more typical and less varied.
          progress: whether the steps are counted on stderr.
        """
        num_samples = checks.whole("num_samples", num_samples)
        settings = self._settings(num_steps, guidance)
        seed = stateless_seed(seed)
        labels = self.labels_for(num_samples, labels, seed)

        def draw(which, labels, seed):
            noise = standard_normal([tf.shape(which)[0], *self.image_shape], seed)
            return self._flow(noise, None, None, labels, settings, progress)

        return self.in_batches(draw, tf.range(num_samples), labels, seed=seed)

    def complete(
        self,
        images,
        num_rows=None,
        labels=None,
        seed=None,
        progress: bool = False,
        mask=None,
        num_steps: int | None = None,
        guidance: float | None = None,
    ) -> tf.Tensor:
        """Images [N, H, W, C] of which a part is given, and the rest drawn.

        On their way the given pixels keep to their own straight path from the noise, and the others
        follow the velocity of the whole (arXiv:2011.13456, appendix I.2, for diffusion). That is an
        approximation: what is drawn fits to what is given less closely than p(x | given) would.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C]; what is not given does not matter.
          num_rows: how many rows are given, from above; or None.
          labels: int32 [N] for a conditional model.
          seed: an integer; the same one gives the same images.
          progress: whether the steps are counted on stderr.
          mask: [N, H, W] or [H, W], 1 or True where a pixel is given; or None.
          num_steps: as for `sample`.
          guidance: as for `sample`.

        Raises:
          InputError: the images are not what this model takes, or not either rows or a mask is
            given.
        """
        settings = self._settings(num_steps, guidance)
        if (num_rows is None) == (mask is None):
            raise InputError("say which pixels are given: by num_rows, or by a mask")
        images, labels = self.asked(images, labels)
        mask = self._mask(num_rows, mask, images)

        def complete(x, known, labels, seed):
            x = in_unit_range(x)
            noise = standard_normal(tf.shape(x), seed)
            drawn = self._flow(noise, signed(x), known[..., None], labels, settings, progress)
            return tf.where(known[..., None], x, drawn)

        return self.in_batches(complete, images, mask, labels, seed=stateless_seed(seed))

    def _mask(self, num_rows, mask, images) -> tf.Tensor:
        """Which pixels of N images are given, bool [N, H, W]."""
        height, width, _ = self.image_shape
        count = images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
        if mask is None:
            num_rows = checks.whole("num_rows", num_rows, 0, height)
            mask = tf.repeat(tf.range(height)[:, None] < num_rows, width, axis=1)
        mask = tf.cast(mask, tf.bool)
        if mask.shape.rank not in (2, 3) or not mask.shape[-2:].is_compatible_with([height, width]):
            raise InputError(
                f"a mask has shape [N, {height}, {width}] or [{height}, {width}], not {mask.shape}"
            )
        if mask.shape.rank == 2:
            return tf.repeat(mask[None], count, axis=0)
        if isinstance(count, int) and not mask.shape[:1].is_compatible_with([count]):
            raise InputError(f"{count} images need as many masks, not {mask.shape[0]}")
        return mask

    def times(self, num_steps) -> tf.Tensor:
        """The times [S + 1] between the steps of a sampler."""
        return tf.linspace(0.0, 1.0, num_steps + 1)

    def _flow(self, noise, images, known, labels, settings, progress) -> tf.Tensor:
        """Images in [0, 1] of noise, by (number of steps, guidance)."""
        num_steps, guidance = settings
        if guidance not in (0, 1):  # those two have graphs of their own
            guidance = tf.constant(guidance, tf.float32)
        num_steps = tf.convert_to_tensor(num_steps, tf.int32)
        return self.walk(noise, num_steps, images, known, labels, guidance, progress)

    @tf.function(autograph=False, reduce_retracing=True)
    def walk(self, noise, num_steps, images, known, labels, guidance, progress) -> tf.Tensor:
        """The end of the path that begins at the noise, in [0, 1].

        Args:
          noise: float32 [B, H, W, C].
          num_steps: int32 [].
          images: [B, H, W, C] in [-1, 1] whose `known` pixels are given, or None.
          known: bool [B, H, W, 1], or None.
          labels: int32 [B], or None.
          guidance: a number or a float32 [].
          progress: whether the steps are counted on stderr.
        """

        @tf.function(autograph=False)  # one graph of the network, and not one for each call
        def v(x, t):
            found = self.guided_velocity(x, t, labels, guidance)
            return found if known is None else tf.where(known, images - noise, found)

        x = odes.solve(v, noise, self.times(num_steps), self.solver, self.last, progress)
        return tf.clip_by_value((x + 1) / 2, 0.0, 1.0)

    def call(self, inputs, training=False) -> tf.Tensor:
        """The velocity of (x, t), or of (x, t, y)."""
        return self.velocity(*inputs, training=training)

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `complete` and `velocity`; labels come last."""
        height, width, _ = self.image_shape
        mask = tf.TensorSpec([None, height, width], tf.bool, name="mask")
        x = tf.TensorSpec([None, *self.image_shape], tf.float32, name="x")
        t = tf.TensorSpec([None], tf.float32, name="t")

        def complete(images, mask, seed, labels=None):
            return {"images": self.complete(images, None, labels, seed, mask=mask)}

        def velocity(x, t, labels=None):
            if labels is not None:
                labels = checks.labels(labels, self.num_classes + 1)  # the null label is one
            return {"velocity": self.velocity(x, t, labels)}

        also = [LABELS] if self.conditional else []
        return {
            "sample": self._sample_endpoint(),
            "complete": (complete, [self.images_spec, mask, SEED, *also]),
            "velocity": (velocity, [x, t, *also]),
        }
