"""Models that turn noise into images in several steps (`zoo/math/samplers.py`).

    x_t = (1 - t) x_0 + t x_1,  x_0 ~ N(0, I) is noise,  x_1 is an image

A network gives the velocity v(x, t), the mean of x_1 - x_0 where x_t = x. Given labels, a part of
them is dropped in training, so that the one network is also the unconditional model, and
classifier-free guidance has both (Ho & Salimans 2022, arXiv:2207.12598). Images on their way are in
[-1, 1], where the pixels of an image are in [0, 1].

Of large images as much noise hides less, as pixels beside each other are alike. Their times, in
training and between the steps of a sampler, are moved towards noise (Esser et al. 2024,
arXiv:2403.03206, eq. 23): t -> t / (t + shift (1 - t)).
"""

import dataclasses
import numbers
from typing import Literal

import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.core.stages import BySize, num_stages, shift
from zoo.errors import InputError
from zoo.families.base import LABELS, SEED, Endpoint
from zoo.families.likelihood import LikelihoodModel
from zoo.math import odes, samplers
from zoo.math.noise import standard_normal, standard_uniform, stateless_seed
from zoo.math.pixels import in_unit_range, signed
from zoo.nn.u_net import perceptron, u_net

_LEAST = 0.02  # of the time that is left, by which is divided; so little noise is not seen


@dataclasses.dataclass(frozen=True)
class Config:
    """Network and sampler."""

    network: Literal["unet", "mlp"] = field("unet", "A U-Net, or a perceptron.")
    width: int = field(
        0,
        "Channels of the U-Net's first grid; 0: 44, and 64 from 56 pixels on.",
        lower=0,
        by_shape=BySize(44, 64),
        formerly=44,
    )
    num_stages: int = num_stages("How often the U-Net halves the sides; 0: to 7 or 8.", smallest=7)
    patch_size: int = field(
        0,
        "Side of the patches that are the places of the U-Net's first grid; 0: 2, and 4 from 56 "
        "pixels on.",
        lower=0,
        by_shape=BySize(2, 4),
        formerly=2,
    )
    shift: float = field(
        0.0,
        "How far times are moved towards noise; 0: 1, not at all, and from 56 pixels on the side "
        "in units of 32.",
        lower=0.0,
        by_shape=shift,
        formerly=1.0,
    )
    num_blocks: int = field(1, "Residual blocks of each grid, down and up.", lower=1)
    dropout: float = field(0.0, "Share of activations dropped.", lower=0.0, upper=0.9)
    hidden: tuple[int, ...] = field((256, 256, 256), "Units of the perceptron's layers.", lower=1)
    conditional: bool = field(True, "Learn p(x|y) where images have labels.")
    label_dropout: float = field(
        0.1, "Share of labels not told in training, for guidance.", lower=0.0, upper=1.0
    )
    sampler: Literal["euler", "heun", "ancestral"] = field(
        "heun", "How steps are made: by one network call, by two, or by one and new noise."
    )
    num_steps: int = field(12, "Steps of the sampler, when nothing else is asked for.", lower=1)
    guidance: float = field(
        1.25,  # of 1, 1.25 and 1.5 the least FID, by samples of Fashion-MNIST
        "How much the label counts in samples; 1: as in the data, by half as many network calls.",
        lower=0.0,
    )


class DenoisingModel(LikelihoodModel):
    """A model of this family has a configuration with the fields of `Config`.

    It defines `losses`, and `velocity` by its `network`. One that is conditional knows a label
    more, `null_label`, for images whose class it is not told; it is not `guidable` if it is never
    trained by that.
    """

    can = frozenset({"sample", "calls", "steps", "complete", "vary"})
    watched = True
    watched_options = {"num_steps": 4, "guidance": 1.0}

    def add_network(self, to: bool = False) -> None:
        """Adds the network of noisy images, times and, of a conditional model, labels.

        Args:
          to: whether it is told a second time, to which the way goes.

        Raises:
          InputError: settings contradict one another, or do not go with the images.
        """
        c = self.config
        if self.conditional and c.label_dropout == 1:
            raise InputError("label_dropout=1 drops every label: give conditional=false instead")
        if self.conditional and not self.guidable and c.guidance != 1:
            raise InputError(
                "guidance needs a model without labels too: label_dropout=0 goes with guidance=1"
            )
        num_labels = self.num_classes + 1 if self.conditional else 0  # with the null label
        if c.network == "mlp" or self.way_shape[:2] == (1, 1):
            self.network = perceptron(self.way_shape, c.hidden, num_labels, to=to, name="network")
            return
        self.network = u_net(
            self.way_shape,
            width=c.width,
            num_stages=c.num_stages,
            patch_size=c.patch_size,
            num_blocks=c.num_blocks,
            dropout=c.dropout,
            num_labels=num_labels,
            to=to,
            name="network",
        )

    @property
    def conditional(self) -> bool:
        """Whether images come with labels that are learned from."""
        return self.config.conditional and self.num_classes > 0

    @property
    def guidable(self) -> bool:
        """Whether some labels are dropped in training, which guidance needs."""
        return self.config.label_dropout > 0

    @property
    def null_label(self) -> int:
        """The label that says nothing."""
        return self.num_classes

    @property
    def way_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of what is on its way from noise: images, if nothing else is said."""
        return self.image_shape

    def onto_way(self, images, seed=None) -> tf.Tensor:
        """What is at the end of the way, x_1, for images [B, H, W, C] in [0, 1].

        Args:
          images: float32.
          seed: int32 [2], where x_1 is drawn in training.
        """
        return signed(images)

    def off_way(self, x) -> tf.Tensor:
        """The images in [0, 1] of what is at the end of the way."""
        return tf.clip_by_value((x + 1) / 2, 0.0, 1.0)

    def velocity(self, x, t, labels=None, training: bool = False, **to) -> tf.Tensor:
        """V(x, t), or v(x, t, y).

        Args:
          x: images on their way, float32 [B, *way_shape].
          t: times in [0, 1], float32 [B].
          labels: int32 [B] of a conditional model, 0..K with `null_label`.
          training: whether dropout is on.
          **to: `to`, times [B], of a model that knows the mean velocity from t to another time.

        Returns:
          float32 [B, H, W, C].
        """
        raise NotImplementedError

    def answer(self, x, t, labels=None, training: bool = False, to=None) -> tf.Tensor:
        """What the network says, [B, H, W, C], of the arguments of `velocity`."""
        given = [v for v in (x, t, to, labels) if v is not None]
        return self.network([tf.convert_to_tensor(v) for v in given], training=training)

    def told(self, labels, training: bool) -> tf.Tensor | None:
        """The labels [B] that the network is told: in training some are the null label instead."""
        if not self.conditional:
            return None
        if not training:
            return labels
        drawn = standard_uniform(tf.shape(labels), self.next_seed())
        return tf.where(drawn >= self.config.label_dropout, labels, self.null_label)

    def error(self, x_1, t, labels, seed, training: bool = False) -> tf.Tensor:
        """|v(x_t, t) - (x_1 - x_0)|^2, a mean over pixels, [B].

        Args:
          x_1: images [B, H, W, C] in [-1, 1].
          t: times, float32 [B].
          labels: as for `velocity`.
          seed: int32 [2], of the noise x_0.
          training: whether dropout is on.
        """
        x_0, s = standard_normal(tf.shape(x_1), seed), t[:, None, None, None]
        v = self.velocity((1 - s) * x_0 + s * x_1, t, labels, training)
        return tf.reduce_mean((v - (x_1 - x_0)) ** 2, [1, 2, 3])

    def error_by_time(self, images, labels=None, num_times: int = 10) -> tf.Tensor:
        """The mean `error` of images at evenly spaced times, always of the same noise, [num_times].

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: int32 [N] of a conditional model.
          num_times: how many: 0.05, 0.15, ..., 0.95 of ten.

        Raises:
          InputError: there are no images.
        """
        images, labels = self.asked(images, labels)
        if not images.shape[0]:
            raise InputError("there are no images")
        times = [tf.constant((i + 0.5) / num_times, tf.float32) for i in range(num_times)]
        return tf.stack([self._mean_error(images, labels, t) for t in times])

    @tf.function(autograph=False, reduce_retracing=True)
    def _mean_error(self, images, labels, t):
        x_1 = self.onto_way(in_unit_range(images))
        return tf.reduce_mean(self.error(x_1, tf.fill(tf.shape(x_1)[:1], t), labels, [0, 0]))

    def moved(self, t):
        """Times towards noise: t / (t + shift (1 - t))."""
        shift = self.config.shift
        return t if shift == 1 else t / (t + shift * (1 - t))

    def guided_velocity(self, x, t, labels, guidance, **to) -> tf.Tensor:
        """V_0 + s (v_y - v_0), of v_0 without and v_y with the label (arXiv:2207.12598, eq. 6).

        Args:
          x: [B, H, W, C].
          t: float32 [], for all of them.
          labels: int32 [B], or None.
          guidance: s; 1 is the conditional model itself, 0 the unconditional one.
          **to: as for `velocity`, float32 [].
        """
        t = tf.fill(tf.shape(x)[:1], t)
        to = {name: tf.fill(tf.shape(t), value) for name, value in to.items()}
        always = isinstance(guidance, numbers.Real)
        if labels is None or (always and guidance == 1):
            return self.velocity(x, t, labels, **to)
        nothing = tf.fill(tf.shape(labels), self.null_label)
        if always and guidance == 0:
            return self.velocity(x, t, nothing, **to)
        both = [tf.concat(pair, 0) for pair in ((x, x), (t, t), (nothing, labels))]
        to = {name: tf.concat([value, value], 0) for name, value in to.items()}
        without, told = tf.split(self.velocity(*both, **to), 2)
        return without + guidance * (told - without)

    def num_calls(self, num_steps: int | None = None, guidance: float | None = None) -> int:
        """How often the network is asked about an image that is drawn."""
        num_steps, guidance = self._settings(num_steps, guidance)
        twice = self.conditional and guidance not in (0, 1)
        if self.sampler.calls is None:
            return self._calls_found(guidance) * (2 if twice else 1)
        return ((num_steps - 1) * self.sampler.calls + self.last.calls) * (2 if twice else 1)

    def _calls_found(self, guidance) -> int:
        """Evaluations of the velocity by a sampler that chooses its steps, of 64 fixed images."""
        seed = stateless_seed(0)
        x, labels = standard_normal([64, *self.way_shape], seed), self.labels_for(64, None, seed)

        @tf.function(autograph=False)
        def calls(x, labels):
            v = lambda t, x: self.guided_velocity(x, t, labels, guidance)  # noqa: E731
            return odes.solve(v, x, tf.constant([0.0, 1.0]), self.sampler.tolerance)[1]

        return int(calls(x, labels))

    # Of the last step: where images are, the velocity changes fast, and a second look at it from a
    # place beside them does harm (as in Karras et al. 2022, arXiv:2206.00364, algorithm 1).
    last = samplers.SAMPLERS["euler"]

    @property
    def sampler(self) -> samplers.Sampler:
        """What makes a step."""
        return samplers.SAMPLERS[self.config.sampler]

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
        return self._drawn(num_samples, labels, seed, num_steps, guidance, progress)

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

        On their way the given pixels are those of the image under as much noise, and the others
        follow the velocity of the whole (arXiv:2011.13456, appendix I.2). That is an approximation:
        what is drawn fits to what is given less closely than p(x | given) would.

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
            given = signed(x), known[..., None], labels
            drawn = self._walk(noise, *given, settings, progress, seed)
            return tf.where(known[..., None], x, drawn)

        return self.in_batches(complete, images, mask, labels, seed=stateless_seed(seed))

    def vary(
        self,
        images,
        strength: float = 0.4,
        labels=None,
        seed=None,
        num_steps: int | None = None,
        guidance: float | None = None,
        progress: bool = False,
    ) -> tf.Tensor:
        """Variations of images [N, H, W, C]: noise is put on them and taken away again.

        That is the path of a sample from x_t = t x_1 + (1 - t) x_0 on, with t = 1 - strength, moved
        by `shift` (Meng et al. 2022, arXiv:2108.01073). What the noise hides is drawn anew.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          strength: the share of noise, in (0, 1]; 1: a new sample.
          labels: int32 [N] for a conditional model; other ones than the images' own turn them into
            images of another class.
          seed: an integer; the same one gives the same images.
          num_steps: of a whole path, of which those from t on are taken.
          guidance: as for `sample`.
          progress: whether the steps are counted on stderr.

        Raises:
          InputError: the images are not what this model takes, or the strength is no such share.
        """
        settings = self._settings(num_steps, guidance)
        if not isinstance(strength, numbers.Real) or not 0 < strength <= 1:
            raise InputError(f"strength is {strength!r}, and must be above 0 and at most 1")
        images, labels = self.asked(images, labels)
        start = self.moved(tf.constant(1 - strength, tf.float32))

        def vary(x, labels, seed):
            x = self.onto_way(in_unit_range(x))
            x = start * x + (1 - start) * standard_normal(tf.shape(x), seed)
            return self._walk(x, None, None, labels, settings, progress, seed, start)

        return self.in_batches(vary, images, labels, seed=stateless_seed(seed))

    def path(
        self,
        num_samples,
        labels=None,
        seed=None,
        num_steps: int | None = None,
        guidance: float | None = None,
    ) -> tf.Tensor:
        """Samples on their way from noise: x_t at the times of all steps, cut off to [0, 1].

        Args:
          num_samples: how many.
          labels: as for `sample`, and so are the others.
          seed: likewise; the last images are the samples of this seed.
          num_steps: likewise.
          guidance: likewise.

        Returns:
          [num_samples, num_steps + 1, H, W, C].
        """
        return self._drawn(num_samples, labels, seed, num_steps, guidance, every=True)

    def _drawn(
        self, num_samples, labels, seed, num_steps, guidance, progress=False, every=False
    ) -> tf.Tensor:
        num_samples = checks.whole("num_samples", num_samples)
        settings = self._settings(num_steps, guidance)
        seed = stateless_seed(seed)
        labels = self.labels_for(num_samples, labels, seed)

        def draw(which, labels, seed):
            noise = standard_normal([tf.shape(which)[0], *self.way_shape], seed)
            return self._walk(noise, None, None, labels, settings, progress, seed, every=every)

        return self.in_batches(draw, tf.range(num_samples), labels, seed=seed)

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
        """The times [S + 1] between steps: evenly spaced, and moved as those of training are."""
        return self.moved(tf.linspace(0.0, 1.0, num_steps + 1))

    def _walk(
        self, x, images, known, labels, settings, progress, seed, start=None, every=False
    ) -> tf.Tensor:
        """`walk` by (number of steps, guidance)."""
        num_steps, guidance = settings
        if guidance not in (0, 1):  # those two have graphs of their own
            guidance = tf.constant(guidance, tf.float32)
        num_steps = tf.convert_to_tensor(num_steps, tf.int32)
        seed = tf.random.experimental.stateless_fold_in(seed, 1)  # of the steps
        ways = start, every, progress
        return self.walk(x, num_steps, images, known, labels, guidance, seed, *ways)

    @tf.function(autograph=False, reduce_retracing=True)
    def walk(
        self,
        x,
        num_steps,
        images,
        known,
        labels,
        guidance,
        seed,
        start=None,
        every: bool = False,
        progress: bool = False,
    ) -> tf.Tensor:
        """The end of the path that begins at x, or all of it, in [0, 1].

        Args:
          x: float32 [B, H, W, C], noise or a noisy image.
          num_steps: int32 [], from noise to images.
          images: [B, H, W, C] in [-1, 1] whose `known` pixels are given, or None.
          known: bool [B, H, W, 1], or None.
          labels: int32 [B], or None.
          guidance: a number or a float32 [].
          seed: int32 [2], of the noise that steps may draw.
          start: the time at which x is, float32 []; None: 0.
          every: whether x at all times is wanted, [B, S + 1, H, W, C].
          progress: whether the steps are counted on stderr.
        """
        times = self.times(num_steps)
        if start is not None:
            times = tf.concat([[start], times[times > start]], axis=0)

        @tf.function(autograph=False)  # one graph of the network, and not one for each call
        def v(x, t, to=None):
            to = {} if to is None else {"to": to}
            found = self.guided_velocity(x, t, labels, guidance, **to)
            left = tf.maximum(1 - t, 1e-5)  # a solver may ask at the end, too
            return found if known is None else tf.where(known, (images - x) / left, found)

        x = samplers.solve(v, x, times, self.sampler, self.last, progress, seed, every)
        if not every:
            return self.off_way(x)
        images = self.off_way(tf.reshape(x, [-1, *self.way_shape]))
        images = tf.reshape(images, [tf.shape(times)[0], -1, *self.image_shape])
        return tf.transpose(images, [1, 0, 2, 3, 4])

    def call(self, inputs, training=False) -> tf.Tensor:
        """The velocity of (x, t), or of (x, t, y)."""
        return self.velocity(*inputs, training=training)

    def with_null(self, labels) -> tf.Tensor | None:
        """Labels [N], checked, of which the null label is one; or None."""
        return None if labels is None else checks.labels(labels, self.num_classes + 1)

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `complete` and `velocity`; labels come last."""
        height, width, _ = self.image_shape
        mask = tf.TensorSpec([None, height, width], tf.bool, name="mask")
        x = tf.TensorSpec([None, *self.way_shape], tf.float32, name="x")
        t = tf.TensorSpec([None], tf.float32, name="t")

        def complete(images, mask, seed, labels=None):
            return {"images": self.complete(images, None, labels, seed, mask=mask)}

        def velocity(x, t, labels=None):
            return {"velocity": self.velocity(x, t, self.with_null(labels))}

        also = [LABELS] if self.conditional else []
        completes = {"complete": (complete, [self.images_spec, mask, SEED, *also])}
        return {
            "sample": self._sample_endpoint(),
            **(completes if "complete" in self.can else {}),
            "velocity": (velocity, [x, t, *also]),
        }


def toward(image, x, t) -> tf.Tensor:
    """The velocity of the straight way from x at times t [B] to an image at time 1."""
    return (image - x) / tf.maximum(1 - t, _LEAST)[:, None, None, None]
