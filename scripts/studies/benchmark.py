"""Measures start-up, steps, drawing, whole runs and serving: python scripts/studies/benchmark.py.

Every figure comes as median and spread, with the machine, the versions and the float32 peak that
was measured in the same run. Nothing else should run on the machine meanwhile.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from zoo.commands import cli
from zoo.core import files

_OUT = flags.DEFINE_string("out", "benchmark.json", "The record.")
_REPEATS = flags.DEFINE_integer(
    "repeats", 5, "Of each process and each drawing that is timed.", lower_bound=1
)
_STEPS = flags.DEFINE_integer("steps", 60, "Training steps that are timed.", lower_bound=10)
_MODELS = flags.DEFINE_list("models", [], "Further models whose steps are timed.")
_TRAINING = flags.DEFINE_bool(
    "training", True, "Also run the default cgan and classifier to the end (about 15 minutes)."
)

SCRIPTS = pathlib.Path(__file__).resolve().parents[1]
TRAIN = str(SCRIPTS / "train.py")


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median_s": round(statistics.median(seconds), 4),
        "min_s": round(min(seconds), 4),
        "max_s": round(max(seconds), 4),
        "repeats": len(seconds),
    }


def timed(*command: str) -> float:
    """Wall seconds of a process that must end well."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def to_first_step(folder: pathlib.Path) -> float:
    """Seconds from the command to the checkpoint that follows the first training step."""
    workdir = pathlib.Path(tempfile.mkdtemp(dir=folder))
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, TRAIN, "--model=cgan", "--checkpoint_steps=1", f"--workdir={workdir}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((workdir / "checkpoints").glob("step_*.npz")) and process.poll() is None:
        time.sleep(0.005)
    seconds = time.perf_counter() - begin
    if process.poll() is not None:
        raise RuntimeError(f"the run ended with {process.returncode} before its first checkpoint")
    process.kill()
    process.wait()
    return seconds


def start_up(folder: pathlib.Path) -> dict:
    """`--help`, importing, and the way to the first step."""
    n = _REPEATS.value
    python = [sys.executable, "-c"]
    imports = [timed(*python, "import tensorflow_probability, tensorflow") for _ in range(n)]
    first = [to_first_step(folder) for _ in range(min(n, 3))]
    return {
        "help": spread([timed(sys.executable, TRAIN, "--help") for _ in range(n)]),
        "import_tensorflow_and_tfp": spread(imports),
        "command_to_first_step": spread(first),
        "first_step_over_import": round(statistics.median(first) / statistics.median(imports), 2),
    }


def matmul_peak() -> float:
    """GFLOP/s of the best of twenty float32 matrix products of side 2048."""
    import tensorflow as tf

    n, best = 2048, float("inf")
    a = tf.random.normal([n, n])
    product = tf.function(lambda a: tf.reduce_sum(a @ a))
    product(a)
    for _ in range(20):
        begin = time.perf_counter()
        product(a).numpy()
        best = min(best, time.perf_counter() - begin)
    return 2 * n**3 / best / 1e9


def relate(record: dict, peak: float) -> None:
    """Adds to every timing what the peak would compute in it, to compare machines."""
    for value in list(record.values()):
        if isinstance(value, dict):
            relate(value, peak)
    if "median_s" in record:
        record["median_gflop_at_peak"] = round(record["median_s"] * peak, 2)


def bare_step(model, images, labels, xla=False):
    """A training step as one would write it by hand: same networks and losses, nothing else."""
    import tensorflow as tf

    def descend(loss_of, optimizer, variables):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_of())
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def noise(n):
        return model.draw_prior(n, model.next_seed())

    @tf.function(jit_compile=xla)
    def step():
        x = tf.cast(images, tf.float32) / 255.0
        if "discriminate" not in model.can:
            return descend(
                lambda: model.losses(x, labels, training=True)["loss"],
                model.optimizer,
                model.trainable_variables,
            )
        k = model.discriminator_steps
        for j in range(k):
            part = (x[j::k], labels[j::k], noise(len(images) // k))
            descend(
                lambda part=part: model.d_losses(*part, training=True)["d_loss"],
                model.discriminator_optimizer,
                model.discriminator.trainable_variables,
            )
        part = (*part[:2], noise(len(images) // k))
        return descend(
            lambda: model.g_losses(*part, training=True)["g_loss"],
            model.optimizer,
            model.generator_variables,
        )

    return step


def steps(folder: pathlib.Path) -> dict:
    """A step inside `fit` with the callbacks of a run, bare ones, and the wait for input.

    The callbacks are those that act at steps; what an epoch's end costs (pictures, a checkpoint,
    TensorBoard) is in the whole runs.
    """
    mlp = {"network": "mlp", "likelihood": "bernoulli", "hidden": (512, 256)}
    return {
        "vae": step(folder, "vae", mlp, 128, 1),
        "vae, 13 steps an execution": step(folder, "vae", mlp, 128, 13),
        "cgan": step(folder, "cgan", {}, 64, 1),
        # by hand there is no average of G
        **{name: step(folder, name, {}, 64, 1) for name in _MODELS.value},
    }


def step(folder: pathlib.Path, name: str, config: dict, batch_size: int, several: int) -> dict:
    """The timings of one model, with `several` steps between two returns to Python.

    `batch_size` is that of each step of D.
    """
    import keras
    import tensorflow as tf

    import zoo
    from zoo import data
    from zoo.data import pipeline
    from zoo.hub import checkpoints
    from zoo.training import callbacks

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            times.append(time.perf_counter())

    train = data.load().train
    binarization = "stochastic" if name == "vae" else "none"
    n = several * -(-_STEPS.value // several)
    model, bare_model, xla_model = (zoo.create(name, **config) for _ in range(3))
    k = getattr(model, "discriminator_steps", 1)

    def batches(stop):
        return pipeline.train_batches(
            train, batch_size * k, seed=0, stop=stop, binarization=binarization
        )

    batch = next(iter(batches(1)))
    at_hand = tf.data.Dataset.from_tensors(batch).repeat().prefetch(2)
    model.steps_per_execution = several
    bare, compiled = bare_step(bare_model, *batch), bare_step(xla_model, *batch, xla=True)
    model.fit(batches(several), verbose=0, shuffle=False)
    bare()
    compiled()
    in_fit, by_hand, by_xla, waits, calls = [], [], [], [], []
    manager = checkpoints.Manager(pathlib.Path(folder) / name)
    log = callbacks.MetricsFile(pathlib.Path(folder) / "metrics.jsonl", steps_per_epoch=10**9)
    for _ in range(5):  # in turn, because the machine's speed drifts
        times = []
        model.fit(
            batches(n + several),
            steps_per_epoch=n + several,
            verbose=0,
            shuffle=False,
            callbacks=[
                callbacks.StopWhenDiverged(0),
                callbacks.Checkpoint(manager, log, 0, 0, ""),
                Clock(),
            ],
        )
        in_fit += [(b - a) / several for a, b in zip(times, times[1:], strict=False)]
        for source, seconds in ((batches(n), waits), (at_hand, calls)):
            iterator = iter(source)
            for _ in range(n):
                begin = time.perf_counter()
                next(iterator)
                middle = time.perf_counter()
                bare().numpy()
                seconds.append(middle - begin)
                by_hand.append(time.perf_counter() - middle)
        for _ in range(n):
            begin = time.perf_counter()
            compiled().numpy()
            by_xla.append(time.perf_counter() - begin)
    # of a call for a batch, what it takes beyond one for a batch that is always at hand
    waiting = max(0.0, sum(waits) - sum(calls)) / (sum(waits) - sum(calls) + sum(by_hand) / 2)
    return {
        "in_fit_with_callbacks": spread(in_fit),
        "bare_tf_function": spread(by_hand),
        "bare_xla": spread(by_xla),
        "fit_over_bare_of_medians": round(
            statistics.median(in_fit) / statistics.median(by_hand), 3
        ),
        "waiting_for_input_share": round(waiting, 4),
    }


def drawing() -> dict:
    """64 images of the packaged pixelcnn in one call, against the loop that computes all anew.

    That loop passes over the whole images for each pixel; it is timed for one row of pixels, of
    which all cost the same, and multiplied by the number of rows.
    """
    import tensorflow as tf

    import zoo

    model = zoo.load("pixelcnn")
    height, width, _ = model.image_shape

    @tf.function
    def row_anew(images, i, seed):
        for j in tf.range(width):
            # as the model's own loop, for the reason that is given there
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            features = model.features(images)[:, i, j]
            value = model.p_channel(features, tf.zeros([64, 0])).sample(seed=[seed, j])
            here = tf.one_hot(i, height)[:, None] * tf.one_hot(j, width)[None]
            images = tf.where(here[..., None] > 0, value[:, None, None, None], images)
        return images

    kept, anew = [], []
    for i in range(1 + _REPEATS.value):
        begin = time.perf_counter()
        images = model.sample(64, seed=i)
        images.numpy()
        middle = time.perf_counter()
        row_anew(images, tf.constant(height // 2), tf.constant(i)).numpy()
        kept.append(middle - begin)
        anew.append(height * (time.perf_counter() - middle))
    kept, anew = kept[1:], anew[1:]  # the first ones compile
    return {
        "keeping_what_is_known": spread(kept),
        "computing_all_anew": spread(anew),
        "times_faster": round(statistics.median(anew) / statistics.median(kept), 1),
    }


SERVE = """
import sys, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
model.signatures["serving_default"](
    labels=tf.range(64) % 10, seed=tf.constant(0))["images"].numpy()
"""


def whole_runs(folder: pathlib.Path) -> dict:
    """The default cgan to its end, what a classifier sees in it, and serving it."""
    from zoo.training import provenance

    result = {}
    for name in ("cgan", "classifier"):
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, TRAIN, f"--model={name}", f"--workdir={folder}/run_{name}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        result[name] = {
            "minutes": round((time.perf_counter() - begin) / 60, 2),
            "peak_memory_gb": provenance.peak_memory_gb(children=True),  # of the largest so far
            "summary": files.read_json(pathlib.Path(folder, f"run_{name}", "summary.json")),
        }
    from zoo.evaluation import features
    from zoo.evaluation.metrics import class_fidelity
    from zoo.hub import loading
    from zoo.training import inputs

    model = loading.load(f"{folder}/run_cgan")
    asked_for = features.labels_in_turn(model, 10_000)
    made = features.samples(model, 10_000, 0, asked_for)
    p = inputs.feature_net(f"{folder}/run_classifier").see(made)[1]
    result["class_fidelity_of_cgan"] = class_fidelity.class_fidelity(p, asked_for)
    result["serving"] = serving(f"{folder}/run_cgan/saved_model")
    return result


def serving(saved_model: str) -> dict:
    """Loading a SavedModel and drawing 64 samples in a fresh process, against the import."""
    n, python = _REPEATS.value, [sys.executable, "-c"]
    imports = [timed(*python, "import tensorflow") for _ in range(n)]
    drawn = [timed(*python, SERVE, saved_model) for _ in range(n)]
    ratio = statistics.median(drawn) / statistics.median(imports)
    return {
        "import_tensorflow": spread(imports),
        "load_and_draw_64": spread(drawn),
        "over_import": round(ratio, 2),
    }


def main(argv: list[str]) -> None:
    """Measures all and writes the record."""
    out = cli.output_file(_OUT.value)
    with files.unfinished(pathlib.Path(tempfile.gettempdir()) / "benchmark") as folder:
        folder.mkdir(mode=0o700)
        record = {"start_up": start_up(folder)}
        if _TRAINING.value:  # before this process takes the cores and the memory itself
            record["runs"] = whole_runs(folder)
        from zoo.training import provenance

        peak = matmul_peak()
        record["drawing"] = drawing()
        record["steps"] = steps(folder)
        relate(record, peak)
        record["matmul_peak_gflops"] = round(peak, 1)
        record = {
            "command": shlex.join(["python", "scripts/studies/benchmark.py", *cli.given("out")]),
            "machine": provenance.machine(),
            "versions": provenance.versions(),
            **record,
        }
    files.write_json(out, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    cli.run(main)
