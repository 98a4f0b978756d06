"""One device, several, or several machines: `tf.distribute`, set up before anything else runs."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports the others)
import tensorflow as tf

from zoo.core import files, schemas
from zoo.errors import InputError

_EVERY = 60.0  # seconds between two lines of a worker that waits
_SCHEMA = {  # of TF_CONFIG
    "type": "object",
    "required": ["cluster", "task"],
    "properties": {
        "cluster": {
            "type": "object",
            "properties": {
                "chief": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
                "worker": {"type": "array", "items": {"type": "string"}},
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
        "task": {
            "type": "object",
            "required": ["type", "index"],
            "properties": {
                "type": {"enum": ["chief", "worker"]},
                "index": {"type": "integer", "minimum": 0},
            },
        },
    },
}


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
        own, others = _cluster()
        _meet(own, others)
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as e:
            raise InputError(f"TF_CONFIG does not make a cluster: {str(e).splitlines()[0]}") from e
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):  # TensorFlow has put its own there
                signal.signal(number, signal.getsignal(number) or signal.SIG_DFL)
        return strategy, list(strategy.extended.worker_devices)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices(kind)]
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(devices), devices
    return tf.distribute.get_strategy(), devices[:1]


def _cluster() -> tuple[tuple[str, int], list[tuple[str, int]]]:
    """The host and port of this worker and of the others, by `TF_CONFIG`.

    Raises:
      InputError: it is not there, or is no cluster that this worker is one of.
    """
    if "TF_CONFIG" not in os.environ:
        raise InputError(
            "--strategy=multi_worker needs the cluster in the environment variable TF_CONFIG"
        )
    try:
        value = files.parse_json(os.environ["TF_CONFIG"])
    except (ValueError, RecursionError) as e:
        raise InputError(f"TF_CONFIG is no JSON: {e}") from None
    schemas.check(value, _SCHEMA, "TF_CONFIG does not make a cluster")
    kind, index = value["task"]["type"], value["task"]["index"]
    members = {(k, i): a for k, group in value["cluster"].items() for i, a in enumerate(group)}
    if (kind, index) not in members:
        raise InputError(f"TF_CONFIG does not make a cluster: it has no {kind} {index}")
    if len(set(members.values())) < len(members):
        raise InputError("TF_CONFIG does not make a cluster: two of its addresses are the same")
    own = _address(members.pop((kind, index)))
    return own, [_address(a) for a in members.values()]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise InputError(f"TF_CONFIG does not make a cluster: {text!r} is no HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _meet(own: tuple[str, int], others: Sequence[tuple[str, int]]) -> None:
    """Waits until each of the other workers answers: TensorFlow would wait deaf and dumb.

    Raises:
      InputError: nobody can be answered at this worker's own address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(*own, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        with listener:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
            missing, said = list(others), -_EVERY
            while missing := [a for a in missing if not _answers(a)]:
                if time.monotonic() - said >= _EVERY:
                    _say(missing)
                    said = time.monotonic()
                time.sleep(0.2)
    except OSError as e:
        raise InputError(
            f"this worker's own address in TF_CONFIG, {_text(own)}, cannot be used: {e.strerror}"
        ) from None


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def _say(missing: Sequence[tuple[str, int]]) -> None:
    addresses = ", ".join(map(_text, missing))
    print(f"waiting for the other workers: {addresses}", file=sys.stderr, flush=True)


class Workers:
    """What the workers of a strategy tell each other between steps; one alone tells itself."""

    def __init__(self, strategy: tf.distribute.Strategy):
        """Args: strategy, of all workers."""
        self.several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = True  # whether this process is the one that writes the workdir
        if not self.several:
            return
        of = strategy.cluster_resolver
        self.is_chief = of.task_type == "chief" or (
            (of.task_type, of.task_id) == ("worker", 0) and "chief" not in of.cluster_spec().jobs
        )
        self.others = _cluster()[1]
        self.since = None  # when this worker began to wait
        threading.Thread(target=self._watch, daemon=True).start()

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([1], tf.int32)])
        def gather(number):
            return strategy.gather(strategy.run(tf.identity, [number]), axis=0)

        self._gather = gather

    def numbers(self, number: int) -> list[int]:
        """Waits for all workers: the numbers that they came with, on every one the same list."""
        if not self.several:
            return [number]
        self.since = time.monotonic()
        try:
            return self._gather(tf.constant([number], tf.int32)).numpy().tolist()
        finally:
            self.since = None

    def all_have(self, number: int) -> bool:
        """Waits for all workers, and tells whether each came with the same number."""
        return len(set(self.numbers(number))) == 1

    def _watch(self):
        said = None  # of this wait
        while True:
            time.sleep(1)
            since, now = self.since, time.monotonic()
            if since is None or now - since < 1:
                said = None
            elif said is None or now - said >= _EVERY:
                _say(self.others)
                said = now
