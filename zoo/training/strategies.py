"""One device, several, or several machines: `tf.distribute`, set up before anything else runs."""

import os

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports the others)
import tensorflow as tf

from zoo.errors import InputError


def make(name: str) -> tuple[tf.distribute.Strategy, list[str]]:
    """The strategy of that name and the devices that this process uses.

    Memory growth is turned on for GPUs. It must come before the first TensorFlow operation.

    Args:
      name: `none`; `mirrored`, a replica on each visible device; `multi_worker`, that on each
        machine of the cluster in `TF_CONFIG`.

    Raises:
      InputError: `multi_worker` without a cluster.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if name == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise InputError(
                "--strategy=multi_worker needs the cluster in the environment variable TF_CONFIG"
            )
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as e:
            raise InputError(f"TF_CONFIG does not make a cluster: {str(e).splitlines()[0]}") from e
        return strategy, list(strategy.extended.worker_devices)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices(kind)]
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(devices), devices
    return tf.distribute.get_strategy(), devices[:1]


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes the workdir."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return True
    return resolver.task_type in (None, "chief") or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and "chief" not in resolver.cluster_spec().jobs
    )


def agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Waits for all workers, and tells whether each came with the same number."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True

    @tf.function
    def mean():
        numbers = strategy.run(lambda: tf.constant([float(number)]))
        return strategy.reduce("MEAN", numbers, axis=0)

    return float(mean()) == number
