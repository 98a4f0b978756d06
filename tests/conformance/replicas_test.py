"""Two replicas are one device with the same global batch, for every model of the registry.

In a process of its own, because two logical devices must be set up before TensorFlow starts.
"""

import json

import pytest
from forked import free_ports
from small_models import SMALL, small
from written import epochs

CODE = """
import json, sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import zoo
from zoo.families.adversarial import AdversarialModel
from zoo.families.metrics import Perplexity
from zoo.data import sources

train = sources.load().train
data = tf.data.Dataset.from_tensor_slices((train.images[:64], train.labels[:64]))
data = data.batch(16, drop_remainder=True)
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def compare(name, settings):
    results, logs = [], []
    clipped = settings.pop("clipped", False)  # and with an average of the weights
    for strategy in (tf.distribute.get_strategy(), mirrored):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            model = zoo.create(name, **settings)
            # plain descent: Adam would turn the last bit of a tiny gradient into a whole step
            rate = 1e-4 if hasattr(model, "log_prob") else 0.05
            # where D is steep, steps grow what rounding does, and so do the kinks of many ReLUs
            kinks = settings.get("network") == "conv"
            steep = "penalty" in model.tracked or name == "sngan"
            rate /= 25 if name == "sngan" else 10 if kinks else 5 if steep else 1
            clip = {"global_clipnorm": 1 / strategy.num_replicas_in_sync} if clipped else {}
            rate = 0.01 if clipped else rate
            optimizers = [keras.optimizers.SGD(rate, **clip) for _ in range(2)]
            model.compile(*optimizers[: 1 + isinstance(model, AdversarialModel)])
            if clipped:
                model.average_weights(0.9)
        perplexities = any(isinstance(m, Perplexity) for m in model.metrics)  # are no means
        history = model.fit(
            data,
            epochs=2,
            verbose=0,
            shuffle=False,
            validation_data=data if perplexities else None,
        ).history
        logs.append({k: v for k, v in history.items() if "grad_norm" not in k})
        # averages, statistics of batch norm and power iterations too
        weights = [v for v in model.weights if v.dtype == "float32"]
        weights += [a for a, _ in model.weight_average.pairs] if clipped else []
        if strategy.num_replicas_in_sync == 2:
            for v in weights:
                a, b = (np.asarray(r) for r in strategy.experimental_local_results(v.value))
                np.testing.assert_array_equal(a, b, err_msg=v.path)
        results.append([(v.path, np.asarray(v)) for v in weights])
    for (path, a), (_, b) in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5 if kinks else 2e-6, err_msg=path)
    for key in logs[0]:
        np.testing.assert_allclose(logs[0][key], logs[1][key], rtol=1e-4, err_msg=key)


failed = []
for name, settings in json.loads(sys.argv[1]):
    try:
        compare(name, settings)
    except AssertionError as e:
        failed.append(f"{name} {settings}: {e}")
assert not failed, "\\n".join(failed)
"""

CONV = {"network": "conv", "width": 4, "latent_dim": 3}
# one of each kind of train step, and of what is shared: a codebook, statistics of a batch
FAMILIES = ("vae", "vqvae", "dcgan")
CASES = [
    *((name, SMALL[name]) for name in sorted(SMALL, key=lambda name: name not in FAMILIES)),
    ("wgan_gp", {**CONV, "discriminator_steps": 2}),
    ("bigan", CONV),
    *map(small, ("gan of convolutions", "infogan of convolutions", "gan punished and augmented")),
    *map(small, ("wgan_gp clipped", "bigan punished")),
    *map(small, ("iwae doubly reparameterized", "gmm_vae with VampPrior")),
    *map(small, ("hierarchical_vae of grids", "hierarchical_vae bottom up")),
    small("categorical_vae straight through"),
    small("vqvae with maskgit"),
    ("gan", {**SMALL["gan"], "penalty": "dragan"}),
    ("vae", {**SMALL["vae"], "clipped": True}),
    ("flow_matching", {**SMALL["flow_matching"], "clipped": True}),  # of a sparse gradient
    ("diffusion", {**SMALL["diffusion"], "objective": "likelihood"}),
]
TOGETHER = 7  # in a process, which takes longer to start than to train one of them
STARTS = range(len(FAMILIES), len(CASES), TOGETHER)


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(CASES[: len(FAMILIES)], id="families", marks=pytest.mark.slow),
        *(
            pytest.param(CASES[i : i + TOGETHER], id=str(i), marks=pytest.mark.weekly)
            for i in STARTS
        ),
    ],
)
def test_two_replicas_are_one_device(run_python, cases):
    run_python(CODE, json.dumps(cases))


OVERFLOW = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import zoo
from zoo.core.backend import precision

images, labels = np.zeros((8, 12, 12, 1), np.uint8), np.zeros(8, np.int32)
for which in (None, 0, 1):
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with precision("mixed_float16"), mirrored.scope():
        model = zoo.create("classifier", (12, 12, 1), width=2)
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 16.0))
    losses = model.losses

    def overflowing(*arguments, losses=losses, which=which, **more):
        values = losses(*arguments, **more)
        here = tf.distribute.get_replica_context().replica_id_in_sync_group
        factor = tf.where(tf.equal(here, -1 if which is None else which), np.inf, 1.0)
        return {**values, "loss": values["loss"] * factor}

    model.losses = overflowing
    before = [np.asarray(v) for v in model.trainable_variables]
    model.fit(images, labels, batch_size=8, epochs=1, verbose=0)
    moved = False
    for old, v in zip(before, model.trainable_variables):
        for copy in mirrored.experimental_local_results(v.value):
            assert np.isfinite(copy).all(), (which, v.path)
            moved |= bool((np.asarray(copy) != old).any())
    assert moved == (which is None), which
    assert float(model.optimizer.dynamic_scale) == (16.0 if which is None else 8.0), which
"""


@pytest.mark.slow
def test_an_overflow_on_any_replica_leaves_the_step_out(run_python):
    run_python(OVERFLOW)


WHOLE_RUN = """
import dataclasses, json, pathlib, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from zoo import recipes, registry
from zoo.training import loop

data_dir, folder = sys.argv[1:]
logs = []
for strategy, epochs in (("none", (2,)), ("mirrored", (1, 2))):  # the second one goes on
    workdir = f"{folder}/{strategy}"
    for n in epochs:
        settings = recipes.Run(
            strategy=strategy, data_dir=data_dir, steps_per_epoch=5, workdir=workdir
        )
        recipe = dataclasses.replace(registry.recipe("gan"), epochs=n, batch_size=32)
        assert loop.train("gan", {"hidden": (16,), "latent_dim": 4}, recipe, settings) == 0
    logs.append([json.loads(line) for line in open(f"{workdir}/metrics.jsonl")])
    assert pathlib.Path(workdir, "saved_model", "saved_model.pb").exists()
for one, two in zip(*logs, strict=True):
    for key in one:
        if key != "seconds" and "grad_norm" not in key:
            a, b = (v.values() if isinstance(v, dict) else [v] for v in (one[key], two[key]))
            for x, y in zip(a, b, strict=True):
                assert abs(x - y) < 2e-3 * max(1, abs(x)), (key, one, two)
"""


@pytest.mark.weekly
def test_a_whole_run_on_two_replicas(run_python, data_dir, tmp_path):
    said = run_python(WHOLE_RUN, data_dir, tmp_path)
    assert "device: CPU:0, CPU:1" in said and "continuing after step 5 of 10" in said


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["--model=gan", "--hidden=16"], id="gan", marks=pytest.mark.weekly),
        # batch norm of the global batch, an average of G, a deviation of the global batch
        pytest.param(
            ["--model=dcgan", "--width=4", "--ema_decay=0.9", "--penalty=dragan"],
            id="dcgan",
            marks=pytest.mark.weekly,
        ),
    ],
)
def test_two_workers_are_one_device(settings, start, run, data_dir, tmp_path):
    flags = [*settings, "--latent_dim=4", "--batch_size=32"]
    flags += ["--steps_per_epoch=5", f"--data_dir={data_dir}"]
    code, _, err = run("train", *flags, "--epochs=2", f"--workdir={tmp_path / 'one'}")
    assert code == 0, err

    def together(*more):
        workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
        processes = []
        for i in range(2):
            task = {"type": "worker", "index": i}
            cluster = json.dumps({"cluster": {"worker": workers}, "task": task})
            all_flags = [*flags, "--strategy=multi_worker", f"--workdir={tmp_path / 'two'}", *more]
            processes.append(start("train", *all_flags, env={"TF_CONFIG": cluster}))
        said = [p.communicate(timeout=240) for p in processes]
        return [p.returncode for p in processes], said

    for count in (1, 2):  # the second time it goes on
        codes, said = together(f"--epochs={count}")
        assert codes == [0, 0], said
    assert all("continuing after step 5 of 10" in out for out, _ in said)
    for one, two in zip(epochs(tmp_path / "one"), epochs(tmp_path / "two"), strict=True):
        for key in one:
            if key != "seconds" and "grad_norm" not in key:
                assert two[key] == pytest.approx(one[key], rel=2e-3, abs=2e-3), key
    codes, refused = together("--epochs=2", "--seed=1")
    assert codes == [2, 2], refused
    assert "seed: 0 then, 1 now" in refused[0][1] and "the chief cannot" in refused[1][1]
    assert not any("Traceback" in err for _, err in refused)


def test_several_workers_need_a_cluster(run, tmp_path):
    code, _, err = run(
        "train", "--model=gan", "--strategy=multi_worker", f"--workdir={tmp_path / 'never'}"
    )
    assert code == 2 and "TF_CONFIG" in err and "Traceback" not in err
    assert not (tmp_path / "never").exists()
