"""What the models of every family share: checked data, noise, gradients, logged means.

A model file says what its networks, distributions and losses are, and its family has the train
step. What every train step does with a loss (scaling, gradients, several devices) is here.
"""

import contextlib
import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.core import batches, checks, config
from zoo.core.backend import precision
from zoo.core.config import resolved
from zoo.errors import InputError
from zoo.families import averaging, capabilities
from zoo.math.pixels import in_unit_range

Endpoint = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]
NUM_SAMPLES = tf.TensorSpec([], tf.int32, name="num_samples")
SEED = tf.TensorSpec([], tf.int32, name="seed")
LABELS = tf.TensorSpec([None], tf.int32, name="labels")


def infinite_on_all_or_none(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients of this replica, all infinite where those of any replica are not finite.

    Keras 3.15 asks the first replica alone whether a step overflowed and is to be left out.
    """
    gradients = [tf.convert_to_tensor(g) for g in gradients]
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
    replica = tf.distribute.get_replica_context()
    overflown = replica.all_reduce("SUM", tf.cast(~finite, tf.float32)) > 0
    return [tf.where(overflown, tf.constant(np.inf, g.dtype), g) for g in gradients]


class ImageModel(keras.Model):
    """What every model shares: its configuration, its noise and its logged means.

    Args:
      config: the model's own `Config`; its defaults when left out.
      image_shape: (H, W, C).
      num_classes: number of labels K; 0 where images have none.
      seed: of the noise that training draws; the initial weights follow Keras' global seed.
      **kwargs: Keras' own (`name`, `dtype`).
    """

    Config: type
    # trained models that it is given beside its configuration, which names them: argument -> field
    trained_parts: Mapping[str, str] = {}
    can: frozenset[str] = frozenset()  # see `zoo/families/capabilities.py`
    weight_average: averaging.WeightAverage | None = None  # of a model that keeps one
    watched = False  # whether its samples are looked at while it trains, if nothing else is asked
    watched_options: Mapping[str, Any] = {}  # of `sample` for such looks, to be quick
    conditional = False  # whether `sample` and `log_prob` take labels
    supervised = False  # whether it learns from labels without being given them
    takes_weights = True  # whether examples may weigh more or less in its loss
    binary = False  # whether the model is of black or white pixels only
    exact = False  # whether `log_prob` is the log-likelihood itself, and no bound
    averaged = False  # whether `log_prob` is a mean over draws, the ELBO for any number of them
    most_draws = 0  # of `log_prob` for each image where it is measured; 0: as many as asked for
    num_measured = 0  # the images whose `log_prob` is measured, where that takes long; 0: all
    axes = True  # whether moving along one latent dimension, or between two codes, means something
    num_categories = 0  # of each latent variable, a one-hot; 0: latents are real numbers
    tracked: tuple[str, ...] = ()  # the per-example quantities whose means are logged
    validated: tuple[str, ...] = ()  # likewise, which may be known of validation images alone

    def __init__(self, config=None, image_shape=(28, 28, 1), num_classes=10, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = checks.image_shape(image_shape)
        self.config = resolved(config or self.Config(), self.image_shape)
        self.num_classes = checks.whole("num_classes", num_classes)
        if self.learns_labels and not self.num_classes:
            raise InputError(
                f"{self.name} needs labels, so num_classes must be at least 1, not 0: in a folder "
                "of images each class has a folder of its own, PATH/CLASS/*.png"
            )
        self.seed = checks.whole("seed", seed, 0, 2**31 - 1)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self._means = [self.metric_of(name) for name in (*self.tracked, *self.validated)]

    def __init_subclass__(cls, **kwargs):
        """Checks what it can do, and lets Keras find the class of a model that it saved."""
        super().__init_subclass__(**kwargs)
        capabilities.check(cls)
        keras.saving.register_keras_serializable(cls.__module__.partition(".")[0])(cls)

    def metric_of(self, name: str) -> keras.metrics.Metric:
        """What sums up the tracked quantity of that name over an epoch: its mean."""
        return keras.metrics.Mean(name=name)

    def build(self, input_shape=None):
        """Marks the model as built: constructors build their networks themselves."""
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, as plain values; parts of a composition are not."""
        shared = {k: getattr(self, k) for k in ("image_shape", "num_classes", "seed")}
        trained = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in self.trained_parts
        }
        return {**super().get_config(), **shared, **dataclasses.asdict(self.config), **trained}

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> "ImageModel":
        """The inverse of `get_config`.

        Raises:
          InputError: the model is made of parts, which no configuration holds.
        """
        if getattr(cls, "parts", ()):
            raise InputError(f"{cls.__name__} is made of other models: see `zoo.create`")
        names = {f.name for f in dataclasses.fields(cls.Config)}
        own = {k: v for k, v in values.items() if k in names}
        own = config.formerly(cls.Config()) | own
        rest = {k: v for k, v in values.items() if k not in names}
        for part in cls.trained_parts:
            rest[part] = keras.saving.deserialize_keras_object(rest[part])
        policy = keras.dtype_policies.get(rest.get("dtype"))
        with precision(policy):  # of the networks inside, too
            return cls(config.make(cls.Config, own), **{**rest, "dtype": policy})

    def __reduce__(self):
        """Pickles and copies are what `save` writes."""
        self._refuse_if_composed("be saved, pickled or copied")
        return super().__reduce__()

    def save(self, *args, **kwargs):
        """Keras' `save`: a `.keras` file has weights, optimizers and the state of random seeds."""
        self._refuse_if_composed("be saved, pickled or copied")
        super().save(*args, **kwargs)

    def _refuse_if_composed(self, what: str) -> None:
        if getattr(self, "parts", ()):
            raise InputError(
                f"{self.name} is made of trained models, and cannot {what}: "
                "make it anew of them, or export it"
            )

    def _seeds(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.path.endswith("seed_generator_state")]

    def save_own_variables(self, store):
        """The model's own weights, and the seeds of all noise, which Keras saves nowhere."""
        super().save_own_variables(store)
        for i, state in enumerate(self._seeds()):
            store[f"seed_{i}"] = state

    def load_own_variables(self, store):
        """The inverse of `save_own_variables`; of a file without seeds they stay as they are."""
        own = {k: store[k] for k in store.keys() if not k.startswith("seed_")}
        super().load_own_variables(own)
        if len(own) < len(store.keys()):
            for i, state in enumerate(self._seeds()):
                state.assign(store[f"seed_{i}"])

    def compile(self, optimizer: keras.optimizers.Optimizer, **kwargs):
        """Keras' `compile`; what is minimized and logged is the model's own.

        Raises:
          InputError: a loss or metrics are given.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name):
                raise InputError(
                    f"{self.name} has a loss and metrics of its own: compile takes no {name}"
                )
        super().compile(optimizer=optimizer, **kwargs)

    def optimizers(self, recipe, new: Callable[..., Any]) -> dict[str, Any]:
        """What `compile` is given: optimizers with the step sizes of a recipe.

        Args:
          recipe: of the model; see `zoo/recipes.py`.
          new: `new(learning_rate, updates)` makes an optimizer of so many updates in a train step.
        """
        return {"optimizer": new(recipe.learning_rate)}

    def compile_from_config(self, config):
        """Compiles the model as the one was that `get_compile_config` is of."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):  # noqa: D102
        return self._with_checked_data(super().fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):  # noqa: D102
        return self._with_checked_data(super().evaluate, args, kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):  # noqa: D102
        return self._with_checked_data(super().train_on_batch, args, kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args, **kwargs):  # noqa: D102
        return self._with_checked_data(super().test_on_batch, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args, **kwargs):  # noqa: D102
        with _plain_errors():
            return super().predict(*args, **kwargs)

    def _with_checked_data(self, method, args, kwargs):
        """Calls Keras' method once its data is looked at, and says in one line what was wrong."""
        self._refuse_if_composed("be trained")
        bound = inspect.signature(method).bind(*args, **kwargs)
        given = bound.arguments
        self._check_weights(given.get("sample_weight"), given.get("class_weight"))
        names = ("x", "y", "sample_weight")
        if "_use_cached_eval_dataset" not in kwargs:  # which `fit` has looked at
            given.update(zip(names, self._looked_at(*map(given.get, names)), strict=True))
            weighed = given.get("class_weight") is not None or given["sample_weight"] is not None
            if not weighed and not self.learns_labels:
                given["y"] = None
            elif given["y"] is None and hasattr(given["x"], "__array__"):
                raise InputError(f"{self.name} learns from images with labels: give it both")
            if (validation := given.get("validation_data")) is not None:
                if not isinstance(validation, tuple | list):
                    validation = (validation,)
                validation = self._looked_at(*validation)
                given["validation_data"] = _packed(*validation)
                if not hasattr(validation[0], "__array__"):
                    given["validation_data"] = validation[0]
        given = {k: v for k, v in given.items() if k not in names or v is not None}
        bound.arguments = given
        with _plain_errors():
            return method(*bound.args, **bound.kwargs)

    def _looked_at(self, x, y=None, weights=None) -> tuple[Any, Any, Any]:
        """What Keras is to be given for data, whose arrays are known to be good."""
        if isinstance(x, Mapping):
            x, y, weights = self._parts((x, y, weights))
        if isinstance(x, tf.data.Dataset):
            return self._looked_at_dataset(x), y, weights
        if isinstance(x, Iterator):
            return self._looked_at_batches(x), y, weights
        if isinstance(x, list | tuple):
            x = checks.array(x, "images")
        if not hasattr(x, "__array__"):
            return x, y, weights
        y = checks.array(y, "labels") if isinstance(y, list | tuple) else y
        self._check_batch(x, y, weights)
        if not len(x):
            raise InputError("there are no images")
        if y is None and weights is not None and not self.learns_labels:
            y = np.zeros(len(x), np.int32)  # without labels Keras forgets the weights
        if y is not None and np.shape(y)[:1] != (len(x),):
            raise InputError(f"there must be a label for each image: there are {len(x)} images")
        return x, y, weights

    def _looked_at_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Pairs in place of dictionaries; where XLA drops assertions, they are made here."""
        if not (self.jit_compile or isinstance(dataset.element_spec, Mapping)):
            return dataset

        @tf.autograph.experimental.do_not_convert  # an error is to stay what it is
        def checked(*batch):
            parts = self._parts(batch if len(batch) > 1 else batch[0])
            if self.jit_compile:
                images, labels, weights = self._check_batch(*parts)
                parts = (images, parts[1] if labels is None else labels, weights)
            return _packed(*parts)

        return dataset.map(checked)

    def _looked_at_batches(self, iterator: Iterator) -> Iterator:
        for batch in iterator:
            parts = self._parts(batch)
            self._check_batch(*parts)
            yield _packed(*parts)

    def _parts(self, data) -> tuple[Any, Any, Any]:
        """Images, labels and weights of a batch as Keras gives it, or of a dictionary.

        Raises:
          InputError: the dictionary has other entries.
        """
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(images, Mapping):
            if unknown := sorted(set(images) - {"images", "labels"}):
                raise InputError(
                    f"a batch has the entries images and labels, and none named {unknown[0]!r}"
                )
            if "images" not in images:
                raise InputError("a batch needs an entry images")
            if "labels" in images and labels is not None:
                raise InputError("there are labels in the batch and beside it")
            images, labels = images["images"], images.get("labels", labels)
        return images, labels, weights

    def _check_batch(self, images, labels, weights):
        """A batch of `fit`: images as they are, labels if they are learnt from, and weights.

        Raises:
          InputError: they are not what this model learns from.
        """
        self._check_weights(weights)
        images = checks.images(images, self.image_shape)
        count = images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
        if not self.learns_labels:
            labels = None
        elif labels is None:
            raise InputError(f"{self.name} learns from images with labels: give it both")
        else:
            labels = checks.labels(labels, self.num_classes, count)
        weights = None if weights is None else checks.weights(weights, count)
        return images, labels, weights

    @property
    def learns_labels(self) -> bool:
        """Whether `fit` needs labels."""
        return self.conditional or self.supervised

    def _check_weights(self, *weights) -> None:
        """Raises InputError where examples are weighed, and the model cannot."""
        if not self.takes_weights and any(w is not None for w in weights):
            raise InputError(
                f"{self.name} plays a game, which has no weights of examples: leave sample_weight "
                "and class_weight out"
            )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The logged means."""
        return self._means

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing is left to build; Keras 3.15 would try to, and fails with several workers."""

    def next_seed(self) -> tf.Tensor:
        """The next int32 [2] seed of this model's stream; its state is saved with the weights."""
        return tf.cast(tf.math.floormod(self.seed_generator.next(), tf.int32.max - 1), tf.int32)

    def num_parameters(self) -> int:
        """Number of weights."""
        return self.count_params()

    def endpoints(self) -> dict[str, Endpoint]:
        """SavedModel signatures: name -> (function of tensors, its input signature)."""
        raise NotImplementedError

    def export(self, filepath, format="tf_saved_model", verbose=None, **kwargs) -> None:
        """Writes a SavedModel whose signatures are the `endpoints`; the first is the default one.

        Args:
          filepath: a folder.
          format: `tf_saved_model`.
          verbose: whether Keras says what it wrote.
          **kwargs: none.

        Raises:
          InputError: another format, or an input signature.
        """
        if format != "tf_saved_model":
            raise InputError(f"{self.name} exports as tf_saved_model, not as {format}")
        if given := [k for k, v in kwargs.items() if v is not None]:
            raise InputError(f"{self.name} has signatures of its own: export takes no {given[0]}")
        archive = keras.export.ExportArchive()
        for name, (function, signature) in self.endpoints().items():
            archive.add_endpoint(name, function, input_signature=signature)
        archive.write_out(str(filepath), verbose=bool(verbose))

    @property
    def images_spec(self) -> tf.TensorSpec:
        """The signature of a batch of images."""
        return tf.TensorSpec([None, *self.image_shape], tf.float32, name="images")

    def one_hot(self, labels) -> tf.Tensor:
        """Labels [N] as float32 [N, K]; one outside 0..K-1 is an error, in a graph as well.

        Raises:
          InputError: there are no labels, or one is out of range.
        """
        self.check_labels(labels)
        return tf.one_hot(checks.labels(labels, self.num_classes), self.num_classes)

    def restart_schedules(self) -> None:
        """What a run changes step by step beside what it learns is as at its first step."""

    def check_labels(self, labels) -> None:
        """Raises InputError where a conditional model has no labels, or another one has some."""
        if self.conditional and labels is None:
            raise InputError(f"{self.name} is conditional: give it labels")
        if not self.conditional and labels is not None:
            raise InputError(f"{self.name} is unconditional: it takes no labels")

    def labels_of(self, images, labels) -> tf.Tensor | None:
        """Labels int32 [N] of N images (or latents), one for each, or None.

        Raises:
          InputError: as `check_labels`; or they are not as many, or no labels.
        """
        self.check_labels(labels)
        if labels is None:
            return None
        count = images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
        return checks.labels(labels, self.num_classes, count)

    def on_levels(self, images) -> tf.Tensor:
        """Images in [0, 1] as they are modeled: those of few gray levels rounded to them."""
        return images

    def asked(self, images, labels=None) -> tuple[Any, tf.Tensor | None]:
        """The images that a method is asked about, as they came, and their labels; both checked.

        Raises:
          InputError: they are not what this model takes.
        """
        images = checks.images(images, self.image_shape)
        return images, self.labels_of(images, labels)

    @property
    def examples_at_a_time(self) -> int:
        """How many images are computed at once where methods are called eagerly."""
        return batches.size_for(self.image_shape)

    def in_batches(self, function, *arrays, seed=None, share: int = 1) -> tf.Tensor:
        """`function` of arrays [N, ...], some examples at a time: see `zoo/core/batches.py`.

        `share` is how many times more memory than usual an example takes.
        """
        size = max(1, self.examples_at_a_time // share)
        return batches.in_batches(function, arrays, size, seed)

    def labels_for(self, num_samples, labels, seed) -> tf.Tensor | None:
        """The labels of `num_samples` samples: those given, or uniform ones by the seed.

        Raises:
          InputError: labels for an unconditional model, or not one for each sample.
        """
        if not self.conditional:
            self.check_labels(labels)
            return None
        if labels is None:
            seed = tf.random.experimental.stateless_fold_in(seed, 1)
            return tf.random.stateless_uniform(
                [num_samples], seed, 0, self.num_classes, tf.int32, alg="philox"
            )
        if isinstance(labels, numbers.Number) or getattr(labels, "shape", None) == ():
            raise InputError(f"{num_samples} samples need as many labels, not a single number")
        labels = checks.labels(labels, self.num_classes)
        known = isinstance(num_samples, numbers.Integral)
        if known and not labels.shape.is_compatible_with([num_samples]):
            raise InputError(f"{num_samples} samples need as many labels, not {labels.shape[0]}")
        return labels

    def _sample_endpoint(self) -> Endpoint:
        if self.conditional:

            def sample(labels, seed):
                return {"images": self.sample(tf.shape(labels)[0], labels, seed)}

            return sample, [LABELS, SEED]

        def sample(num_samples, seed):
            return {"images": self.sample(num_samples, seed=seed)}

        return sample, [NUM_SAMPLES, SEED]

    def _bound_endpoint(self) -> Endpoint:
        def log_prob(images, num_samples, seed, labels=None):
            return {"log_prob": self.log_prob(images, labels, num_samples, seed)}

        also = [LABELS] if self.conditional else []
        return log_prob, [self.images_spec, NUM_SAMPLES, SEED, *also]

    def _classify_endpoint(self) -> Endpoint:
        def classify(images):
            logits = self.logits(self.asked(images)[0])
            return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

        return classify, [self.images_spec]

    def _unpack(self, data) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
        """A batch as float32 images in [0, 1], int32 labels and weights (or None), checked."""
        images, labels, weights = self._check_batch(*self._parts(data))
        return in_unit_range(images), labels, weights

    def _track(self, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        means = [mean for mean in self._means if mean.name in values]
        for mean in means:
            value, weight = values[mean.name], None
            if mean.name.endswith("grad_norm"):
                # float16's loss scaling skips a step whose gradient overflowed; so does the mean
                weight = tf.cast(tf.math.is_finite(value), tf.float32)
                value = tf.math.multiply_no_nan(value, weight)
            with tf.name_scope(mean.name):  # one node of TensorBoard's graph
                mean.update_state(value, sample_weight=weight)
        results = {mean.name: mean.result() for mean in means}
        if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
            # Keras 3.15 averages the logs of several workers over an axis that a scalar lacks
            results = {name: result[None] for name, result in results.items()}
        return results

    def _descend(self, loss_of: Callable[[], dict[str, tf.Tensor]], name, optimizer, variables):
        """One step of `optimizer` down the mean of the per-example loss `loss_of()[name]`.

        Returns:
          What `loss_of` returned, and the gradient's norm (unscaled; of this replica's part).
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            values = loss_of()
            # apply() sums the gradients of all replicas
            loss = optimizer.scale_loss(tf.reduce_mean(values[name]) / replicas)
        gradients = tape.gradient(loss, variables)
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if replicas > 1 and scaled:
            gradients = infinite_on_all_or_none(gradients)
        scale = optimizer.scale_loss(tf.constant(1.0)) / replicas
        inner = optimizer.inner_optimizer if scaled else optimizer
        if replicas > 1 and inner.global_clipnorm:  # the norm is that of the whole batch's gradient
            replica = tf.distribute.get_replica_context()
            summed = replica.all_reduce("SUM", gradients)
            gradients = [tf.convert_to_tensor(g) / replicas for g in summed]  # some are sparse
        optimizer.apply(gradients, variables)
        return values, tf.linalg.global_norm(gradients) / scale


def _packed(images, labels, weights) -> tuple[Any, ...]:
    """A batch as Keras takes it, in which labels that nobody knows stand between the others."""
    if weights is not None:
        labels = tf.zeros(tf.shape(images)[:1], tf.int32) if labels is None else labels
        return images, labels, weights
    return (images,) if labels is None else (images, labels)


@contextlib.contextmanager
def _plain_errors():
    """What an assertion in a graph says becomes an InputError of one line."""
    try:
        yield
    except tf.errors.OpError as e:
        if line := checks.said(e):
            raise InputError(line) from None
        raise
