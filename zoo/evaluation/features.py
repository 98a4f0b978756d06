"""Feature nets: images -> features [N, D], with the name, digest and resize of the protocol."""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports Keras)
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.core.arrays import digest
from zoo.data import toy
from zoo.errors import InputError, reason

INCEPTION_SIDE = 299
_BATCH = 500


@dataclasses.dataclass(frozen=True)
class FeatureNet:
    """A network that sees images as vectors; any function will do.

    Attributes:
      name: what the record calls it.
      sha256: of the file of its weights, where they come with the package, else of the weights.
      resize: what happens to images before they are seen.
      image_shape: (H, W, C) of the images that it takes.
      features: images, float32 [B, H, W, C] in [0, 1] -> float32 [B, D].
      probabilities: images -> p(y|x), float32 [B, K]; None where it does not classify.
    """

    name: str
    sha256: str
    resize: str
    image_shape: tuple[int, int, int]
    features: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None

    def see(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Features [N, D] and p(y|x) [N, K] of all images; only these grow with N.

        Raises:
          InputError: images of another shape, or outside [0, 1].
        """
        of, p = [], []
        for images in batches:
            images = self._checked(images)
            of.append(self.features(images))
            if self.probabilities is not None:
                p.append(self.probabilities(images))
        return np.concatenate(of), np.concatenate(p) if p else None

    @property
    def num_classes(self) -> int | None:
        """K of `probabilities`; None where it does not classify."""
        if self.probabilities is None:
            return None
        return self.probabilities(np.zeros((1, *self.image_shape), np.float32)).shape[1]

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        if images.dtype == np.uint8:
            images = images / np.float32(255)
        if images.shape[1:] != self.image_shape:
            raise InputError(
                f"{self.name} sees images of shape {self.image_shape}, not {images.shape[1:]}"
            )
        if not (images.min() >= 0 and images.max() <= 1):
            raise InputError("images must be numbers in [0, 1], or uint8")
        return images


def of_classifier(classifier, name: str, sha256: str) -> FeatureNet:
    """The penultimate layer of a classifier of the zoo.

    Args:
      classifier: has `features` and `classify`.
      name: of its weights, for the record.
      sha256: of its weights, for the record.
    """
    if "features" not in classifier.can:
        raise InputError(f"{classifier.name} is no classifier: it gives no features")
    return FeatureNet(
        name=f"{name}, layer 'features'",
        sha256=sha256,
        resize="none",
        image_shape=classifier.image_shape,
        features=lambda x: np.asarray(classifier.features(x)),
        probabilities=lambda x: np.asarray(classifier.classify(x)),
    )


def of_each_channel(net: FeatureNet) -> FeatureNet:
    """A classifier of gray images that sees each channel of a picture by itself.

    Features are those of all channels, [N, C D], and classes all combinations, [N, K^C], the first
    channel's class being the most significant digit; see `zoo/data/stacked.py`.
    """
    height, width, _ = net.image_shape
    channels = 3

    def of(function, images):
        return [function(images[..., c : c + 1]) for c in range(channels)]

    def probabilities(images):
        joint, *others = of(net.probabilities, images)
        for p in others:
            joint = (joint[:, :, None] * p[:, None]).reshape(len(p), -1)
        return joint

    return FeatureNet(
        name=f"{net.name}, of each channel",
        sha256=net.sha256,
        resize=net.resize,
        image_shape=(height, width, channels),
        features=lambda x: np.concatenate(of(net.features, x), axis=-1),
        probabilities=probabilities,
    )


def efficientnet_lite0(image_shape: tuple[int, int, int]) -> FeatureNet:
    """Pooled features [N, 1280] of EfficientNet-Lite0, trained on ImageNet; it comes with the zoo.

    Args:
      image_shape: (H, W, C) of the images to be seen, C = 1 or 3; gray ones become three channels.

    Raises:
      InputError: the file of its weights is damaged.
    """
    from zoo.evaluation import efficientnet

    side = efficientnet.SIDE
    network = efficientnet.network()

    return _of_large_pictures(
        lambda x: tf.image.resize(x, (side, side), "bicubic", antialias=True),
        lambda x: network(x, training=False)[0],
        name="EfficientNet-Lite0, pooled",
        sha256=efficientnet.SHA256,
        resize=f"bicubic, antialiased, to {side}x{side}",
        image_shape=image_shape,
    )


def _of_large_pictures(resized, pooled, image_shape, size: int = 50, **about) -> FeatureNet:
    """A network of large pictures in color, asked about some at a time.

    Args:
      resized: makes images [B, H, W, C] in [0, 1] as large as it wants them.
      pooled: its features of what that gave, in three channels.
      image_shape: (H, W, C) of the images to be seen, C = 1 or 3.
      size: B.
      **about: the rest of a `FeatureNet`.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def seen(images):
        images = resized(images)
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        return pooled(images)

    def features(images: np.ndarray) -> np.ndarray:
        parts = [images[i : i + size] for i in range(0, len(images), size)]
        return np.concatenate([seen(tf.constant(x, tf.float32)).numpy() for x in parts])

    return FeatureNet(image_shape=tuple(image_shape), features=features, **about)


def inception(image_shape: tuple[int, int, int], weights: str | None = "imagenet") -> FeatureNet:
    """Pooled features [N, 2048] of Keras' InceptionV3, trained on ImageNet.

    They are not those of the original FID code, whose network is an older one (`inception_2015`):
    numbers of other projects do not compare.

    Args:
      image_shape: (H, W, C) of the images to be seen, C = 1 or 3; gray ones become three channels.
      weights: as Keras' `weights`; None for random ones.

    Raises:
      InputError: the weights are neither in Keras' cache nor to be had from the network.
    """
    side = INCEPTION_SIDE
    try:
        network = keras.applications.InceptionV3(
            include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg"
        )
    except Exception as e:  # whatever a network, a cache or a proxy can raise
        raise InputError(
            "InceptionV3's weights are not in Keras' cache (~/.keras/models) and could not be "
            f"downloaded ({reason(e)}): fetch them with a network once, or use "
            "--features=classifier"
        ) from None

    return _of_large_pictures(
        lambda x: tf.image.resize(x, (side, side), "bilinear", antialias=True),
        lambda x: network(2.0 * x - 1.0, training=False),
        name="keras.applications.InceptionV3, pooled",
        sha256=digest({f"{i:04d}": np.asarray(w) for i, w in enumerate(network.weights)}),
        resize=f"bilinear, antialiased, to {side}x{side}",
        image_shape=image_shape,
    )


def inception_2015(image_shape: tuple[int, int, int], path: pathlib.Path) -> FeatureNet:
    """Features [N, 2048] of the original Inception network, in which papers measure FID.

    Images are enlarged as TensorFlow 1 did it, and not smoothed where they are made smaller.

    Args:
      image_shape: (H, W, C) of the images to be seen, C = 1 or 3; gray ones become three channels.
      path: of the file of its weights.

    Raises:
      InputError: the file cannot be read, or is another one.
    """
    from zoo.evaluation import inception

    network, side = inception.network(path), inception.SIDE

    return _of_large_pictures(
        lambda x: tf.raw_ops.ResizeBilinear(images=255.0 * x, size=(side, side)),
        lambda x: network((x - 128.0) / 128.0, training=False),
        name="Inception of 2015-12-05, pool_3",
        sha256=inception.SHA256,
        resize=f"bilinear, as TensorFlow 1, to {side}x{side}",
        image_shape=image_shape,
    )


def batches(images: np.ndarray) -> Iterable[np.ndarray]:
    """A set of images, some hundreds at a time."""
    for i in range(0, len(images), _BATCH):
        yield images[i : i + _BATCH]


def observation(model) -> str | None:
    """What a decoder shows in evaluation, `mean` or `sample` (None: there is no decoder).

    The decoder is the model's own, or that of the p(x) which a model is made of.

    Its mean, but a draw where pixels are black or white, because means would be gray, and where
    images are 2-D toy data, because how far they scatter is what is looked at.
    """
    if "decode" not in getattr(model, "unconditional", model).can:
        return None
    return "sample" if model.binary or model.image_shape == toy.IMAGE_SHAPE else "mean"


def in_bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] rounded to uint8, as real ones are.

    Raises:
      InputError: they are not numbers in [0, 1].
    """
    levels = np.round(images * 255)
    if not ((levels >= 0) & (levels <= 255)).all():
        raise InputError("samples are not numbers in [0, 1]")
    return levels.astype(np.uint8)


def check_classifies(net: FeatureNet, model=None) -> None:
    """Raises InputError where a net tells no classes apart, or others than those of a model."""
    if net.probabilities is None:
        raise InputError(f"{net.name} does not classify")
    if model is not None and net.num_classes != model.num_classes:
        raise InputError(f"{net.name} knows other classes than {model.name}")


def labels_in_turn(model, num: int) -> np.ndarray | None:
    """The labels int32 [num] that a conditional model is asked for: 0 .. K-1, again and again."""
    return np.arange(num, dtype=np.int32) % model.num_classes if model.conditional else None


def labels_as_often(model, labels: np.ndarray) -> np.ndarray | None:
    """The labels int32 [N] that a conditional model is asked for: each as often as in `labels`.

    Classes take turns as evenly as they can: equally frequent ones are 0 .. K-1, again and again.

    Args:
      model: says whether it is conditional.
      labels: of real images, int [N].
    """
    if not model.conditional:
        return None
    counts = np.bincount(labels, minlength=model.num_classes)
    classes = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    turns = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in counts])
    return classes[np.lexsort((classes, turns))]


def samples(
    model,
    num: int,
    seed: int,
    labels: np.ndarray | None = None,
    **options,
):
    """Samples of a model, some hundreds at a time: the same for the same seed.

    A decoder shows what `observation` says; `options` are others of the model's `sample`.

    Yields:
      float32 [B, H, W, C] in [0, 1].
    """
    return (images for images, _ in draws(model, num, seed, labels, **options))


def draws(
    model,
    num: int,
    seed: int,
    labels: np.ndarray | None = None,
    **options,
):
    """As `samples`, with what the sampler says of itself.

    Yields:
      images float32 [B, H, W, C] in [0, 1], and diagnostics: name -> a number or one of each class,
      [K]. A model without such has none.
    """
    if "decode" in model.can:
        options["observation"] = observation(model)
    for i in range(0, num, _BATCH):
        count = min(_BATCH, num - i)
        part = None if labels is None else labels[i : i + count]
        if "draw" in model.can:
            drawn = model.draw(count, part, seed=[seed, i + 1], **options)
            yield np.asarray(drawn.images), drawn.diagnostics
        else:
            yield np.asarray(model.sample(count, part, seed=[seed, i + 1], **options)), {}


def timed_draws(
    model, num: int, seed: int, labels: np.ndarray | None = None, **options
) -> tuple[np.ndarray, list[float], list[dict[str, np.ndarray]]]:
    """All of `draws`: uint8 [num, H, W, C], and of each batch samples a second and diagnostics.

    Raises:
      InputError: samples are not images.
    """
    drawn, speeds, diagnostics = [], [], []
    begin = time.perf_counter()
    for batch, of_batch in draws(model, num, seed, labels, **options):
        speeds.append(len(batch) / (time.perf_counter() - begin))
        drawn.append(in_bytes(batch))  # less than in floats
        diagnostics.append(of_batch)
        begin = time.perf_counter()
    return np.concatenate(drawn), speeds, diagnostics
