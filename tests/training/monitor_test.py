"""What is watched while two players train, against oracles, and what raises an alarm."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import recipes
from zoo.evaluation import distances, evaluate, features
from zoo.hub import checkpoints
from zoo.training import callbacks, fitting, monitor

NAMES = tuple("abcdefghij")
NUM = 300


@pytest.fixture(scope="module")
def splits(fashion_mnist):
    """As many validation images as are looked at, and more to train on."""
    return {
        "train": fashion_mnist.train.first(3 * NUM),
        "validation": fashion_mnist.validation.first(NUM),
    }


@pytest.mark.parametrize("name", ["loss", "d_loss", "g_loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_a_run(name, value):
    stop = callbacks.StopWhenDiverged(6)
    stop.set_model(zoo.create("gan", (4, 4, 1), network="mlp", hidden=(4,)))
    stop.on_train_batch_end(0, {"d_grad_norm": np.inf, name: 1.0})
    with pytest.raises(checkpoints.Diverged, match=f"at step 8 the {name} is {value}"):
        stop.on_train_batch_end(1, {name: value})


@pytest.fixture(scope="module")
def net():
    """Random features of images, and classes by them."""
    weights = np.random.default_rng(0).normal(size=(784, 18)) / 28

    def seen(x):
        return x.reshape(len(x), -1) @ weights

    return features.FeatureNet(
        "random",
        "ab",
        "none",
        (28, 28, 1),
        lambda x: seen(x)[:, :8],
        lambda x: tf.nn.softmax(seen(x)[:, 8:]).numpy(),
    )


def look(model, splits, net, **options):
    """The logs of an epoch."""
    settings = {"every": 1, "epochs": 1, "class_names": NAMES, **options}
    samples = monitor.Samples(splits["validation"], splits["train"], net, **settings)
    samples.set_model(model)
    logs = {}
    samples.on_epoch_end(0, logs)
    return logs


def without_last_layer(model):
    """The same model, whose generator makes one image whatever it is given."""
    for weight in model.generator.trainable_variables[-2:]:
        weight.assign(tf.zeros_like(weight))
    return model


@pytest.mark.parametrize("name", ["gan", "cgan"])
def test_what_is_logged_is_what_evaluate_says_of_the_same_images(name, splits, net):
    model = zoo.create(name, network="mlp", hidden=(16,), latent_dim=20)
    logs = look(model, splits, net)
    one_set = {**splits, "train": splits["train"].subset(NUM)}  # of which a look's floor is
    found = evaluate.evaluate(model, one_set.get, held_out="validation", net=net)["samples"]
    assert found["num_images"] == NUM
    for prefix, part in (("val", "model"), ("floor", "floor")):
        figures = found[part]
        assert logs[f"{prefix}_fid"] == pytest.approx(figures["fid"]["mean"], rel=1e-6)
        if name == "cgan":
            fidelity = figures["class_fidelity"]["mean"]
            assert logs[f"{prefix}_class_fidelity"] == pytest.approx(fidelity)
    assert ("val_class_share" in logs) == (name == "gan")
    if name == "gan":
        images = np.round(model.sample(NUM, seed=[0, 1]).numpy() * 255).astype(np.uint8)
        p = net.probabilities(images / np.float32(255))
        counts = np.bincount(p.argmax(1), minlength=10)
        assert logs["val_class_share"] == dict(zip(NAMES, counts / NUM, strict=True))
        radius = distances.copy_radius(splits["validation"].images)
        assert logs["val_distinct"] == distances.distinct(images, radius)


def test_without_a_net_only_copies_are_counted_and_with_few_images_there_is_no_fid(splits, net):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)
    assert set(look(model, splits, None)) == {"val_distinct", "floor_distinct"}
    few = {name: split.first(8) for name, split in splits.items()}  # of 8 features
    seen = ("distinct", "kid", "class_share")
    expected = {f"{prefix}_{name}" for prefix in ("val", "floor") for name in seen}
    logs = look(model, few, net)
    assert set(logs) == {*expected, "val_absent_classes"}
    images = np.round(model.sample(8, seed=[0, 1]).numpy() * 255) / np.float32(255)
    of = [net.features(x) for x in (few["validation"].images / np.float32(255), images)]
    assert logs["val_kid"] == pytest.approx(float(distances.kernel_distance(*of)))


def test_a_net_that_gives_no_classes_measures_distances_alone(splits, net):
    model = zoo.create("cgan", network="mlp", hidden=(4,), latent_dim=2)
    plain = dataclasses.replace(net, probabilities=None)
    logs, whole = look(model, splits, plain), look(model, splits, net)
    seen = ("distinct", "kid", "fid")
    assert set(logs) == {f"{prefix}_{name}" for prefix in ("val", "floor") for name in seen}
    assert all(whole[name] == value for name, value in logs.items())


@pytest.mark.parametrize(
    ("changes", "seen_by", "said"),
    [
        ({"eval_every": 0}, "net", "samples are not watched (--eval_every=0), and the last"),
        (
            {"num_images": 1},
            "net",
            "samples are not watched (1 validation images are too few (2 at least)), and the last",
        ),
        ({}, None, "no pretrained classifier knows these images (--classifier names one): samples"),
        ({"class_names": ()}, None, "these images have no labels, of which a classifier learns: "),
        (
            {"num_images": 8},
            "net",
            "8 validation images are too few for an FID by the 8 features of random (9 at least): "
            "samples are watched by their KID",
        ),
        ({}, "net", ""),
        ({"dataset": "ring"}, None, ""),  # judged by its modes
    ],
)
def test_training_says_why_samples_are_not_judged(splits, net, capsys, changes, seen_by, said):
    settings = {"eval_every": 1, "num_images": 100, "class_names": NAMES, "dataset": "", **changes}
    few = splits["validation"].first(settings["num_images"])
    data = types.SimpleNamespace(train=few, class_names=settings["class_names"])
    of_run = recipes.Run(eval_every=settings["eval_every"], dataset=settings["dataset"])
    judge = net if seen_by else None
    found = fitting.samples(data, of_run, recipes.AdversarialRecipe(), few, judge)
    out = capsys.readouterr().out
    assert out.startswith(said) and out.count("\n") == bool(said)
    assert len(found) == ("are not watched" not in said)


def test_looks_come_every_so_many_epochs_and_after_the_last(splits):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)
    samples = monitor.Samples(
        splits["validation"], splits["train"], None, every=3, epochs=7, class_names=NAMES
    )
    samples.set_model(model)
    epochs = [{} for _ in range(7)]
    for i, logs in enumerate(epochs):
        samples.on_epoch_end(i, logs)
    assert [i + 1 for i, logs in enumerate(epochs) if logs] == [3, 6, 7]


def test_a_generator_of_one_image_is_an_alarm_once(splits, net, capsys):
    model = without_last_layer(zoo.create("gan", hidden=(4,), latent_dim=2))
    logs = {**look(model, splits, net), "d_real": 0.5, "d_fake": 0.5}
    assert logs["val_distinct"] == 1 / NUM and max(logs["val_class_share"].values()) == 1
    there = [k for k, v in logs["floor_class_share"].items() if v]
    assert logs["val_absent_classes"] == len([k for k in there if not logs["val_class_share"][k]])
    alarms = monitor.Alarms()
    alarms.set_model(model)
    for epoch in range(2 * monitor.PATIENCE):
        alarms.on_epoch_end(epoch, logs)
        said = capsys.readouterr().err
        assert ("the generator has collapsed" in said) == (epoch + 1 == monitor.PATIENCE)
        assert ("the generator drops classes" in said) == (epoch + 1 == monitor.PATIENCE)
    alarms = monitor.Alarms(stop_on_collapse=True)
    alarms.set_model(model)
    better = {**logs, "val_distinct": 0.9}
    for epoch in range(10):  # never often enough in a row
        alarms.on_epoch_end(epoch, better if epoch % monitor.PATIENCE == 0 else logs)
    with pytest.raises(monitor.Collapsed, match="epoch 13: the generator has collapsed"):
        for epoch in (10, 11, 12):
            alarms.on_epoch_end(epoch, logs)


def test_a_discriminator_that_wins_is_an_alarm(fashion_mnist, capsys):
    keras.utils.set_random_seed(0)
    model = zoo.create("gan", hidden=(32,), latent_dim=2)
    model.optimizer.learning_rate = 0.0
    model.discriminator_optimizer.learning_rate = 1e-2
    images = fashion_mnist.train.images[:320]
    logs = model.fit(
        images, batch_size=16, epochs=8, verbose=0, callbacks=[monitor.Alarms()]
    ).history
    said = capsys.readouterr().err
    won = [a > 0.99 and b < 0.01 for a, b in zip(logs["d_real"], logs["d_fake"], strict=True)]
    assert won[-monitor.PATIENCE :] == [True] * monitor.PATIENCE and not won[0]
    assert said.count("the discriminator has won") == 1 and "collapsed" not in said
    model.probabilistic, model.equilibrium = False, 0.0  # as of the Wasserstein game's scores
    model.fit(images, batch_size=16, epochs=4, verbose=0, callbacks=[monitor.Alarms()])
    assert not capsys.readouterr().err


def test_absence_is_judged_by_what_there_is_among_real_images():
    real = {"a": 0.5, "b": 0.02, "c": 0.0}
    assert monitor.absent({"a": 0.04, "b": 0.003, "c": 0.0}, real) == ["a"]


def test_samples_that_are_not_finite_are_divergence(splits):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)
    model.generator.trainable_variables[-1].assign(np.full(784, np.nan))
    with pytest.raises(monitor.checkpoints.Diverged, match="samples are not finite"):
        look(model, splits, None)


def test_spectral_norms_are_the_largest_singular_values():
    first, again = (zoo.create("cgan", width=4) for _ in range(2))
    norms = monitor.spectral_norms(first.discriminator)
    features = [f"features/{layer}" for layer in ("conv2d", "conv2d_1", "dense")]
    assert list(norms) == ["dense", "dense_1", *features]
    assert list(monitor.spectral_norms(again.discriminator)) == list(norms)
    network = first.discriminator
    layers = [*network.layers, *network.get_layer("features").layers]
    kernels = [np.asarray(layer.kernel) for layer in layers if hasattr(layer, "kernel")]
    assert kernels[2].shape == (4, 4, 1, 4)
    for norm, kernel in zip(norms.values(), kernels, strict=True):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        singular = np.linalg.svd(matrix.astype(float), compute_uv=False)
        assert norm == pytest.approx(singular[0], rel=1e-9)


def test_a_spectral_norm_bounds_how_a_layer_stretches():
    model = zoo.create("gan", hidden=(), latent_dim=2)  # one matrix [784, 1]: its length
    kernel = model.discriminator.trainable_variables[0]
    kernel.assign(np.linspace(0, 1, 784, dtype=np.float32)[:, None])
    logs = {}
    players = monitor.Players()
    players.set_model(model)
    players.on_epoch_end(0, logs)
    assert logs["spectral_norm"] == {"dense": pytest.approx(np.linalg.norm(kernel))}
    assert logs["equilibrium_value"] == pytest.approx(-np.log(4))


def alarms_of(model, **settings):
    alarms = monitor.Alarms(**settings)
    alarms.set_model(model)
    alarms.on_train_begin()
    return alarms


def test_a_young_generator_may_lack_classes_that_were_never_there(capsys):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)

    def warned_after(shares, **settings):
        """The epochs after which a class is said to be missing, for its share in each."""
        alarms, found = alarms_of(model, **settings), []
        for epoch, share in enumerate(shares):
            floor = {"floor_class_share": {"a": 0.5, "b": 0.5}, "d_real": 0.5, "d_fake": 0.5}
            alarms.on_epoch_end(epoch, {**floor, "val_class_share": {"a": share, "b": 1 - share}})
            if "drops classes: there is hardly any a" in capsys.readouterr().err:
                found.append(epoch + 1)
        return found

    assert warned_after([0.0] * 8) == [3]
    assert warned_after([0.0] * 8, grown=6) == [7]  # it would not come back by itself
    assert warned_after([0.0] * 5 + [0.4] * 3, grown=6) == []  # it came
    assert warned_after([0.4, *[0.0] * 7], grown=6) == [4]  # it was there, and is lost


def test_a_young_generator_may_lack_modes_that_it_never_had(capsys):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)  # ten classes, as modes
    for covered, expected in (
        ([2] * 8, [7]),
        ([2, 4, 8, 9, 10, 10, 10, 10], []),
        ([6] + [4] * 7, [3]),
    ):
        alarms, found = alarms_of(model, grown=6), []
        for epoch, number in enumerate(covered):
            logs = {"modes_covered": number, "high_quality": 0.5, "d_real": 0.5, "d_fake": 0.5}
            alarms.on_epoch_end(epoch, logs)
            if "drops modes" in capsys.readouterr().err:
                found.append(epoch + 1)
        assert found == expected


def test_a_run_that_goes_on_counts_as_a_whole_one(capsys):
    model = zoo.create("gan", hidden=(4,), latent_dim=2)
    bad = {"val_distinct": 0.001, "floor_distinct": 1.0, "d_real": 0.5, "d_fake": 0.5}
    whole = alarms_of(model, stop_on_collapse=True)
    for epoch in range(monitor.PATIENCE - 1):
        whole.on_epoch_end(epoch, bad)
    past = [{**bad, "epoch": epoch} for epoch in range(1, monitor.PATIENCE + 1)]
    resumed = alarms_of(model, stop_on_collapse=True, past=past[:-1])
    for alarms in (whole, resumed):
        with pytest.raises(monitor.Collapsed):
            alarms.on_epoch_end(monitor.PATIENCE - 1, bad)
    late = alarms_of(model, stop_on_collapse=True, past=past[:-1], first_epoch=2)
    late.on_epoch_end(monitor.PATIENCE - 1, bad)  # the first one did not count
    with pytest.raises(monitor.Collapsed):
        late.on_epoch_end(monitor.PATIENCE, bad)
    told = alarms_of(model, past=past)  # said before, and not again
    told.on_epoch_end(monitor.PATIENCE, bad)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("modes", "good", "distinct", "alarm"),
    [
        (0, 0.0, 0.3, "drops modes: its samples cover 0 of 10"),
        (1, 0.9, 0.3, "lie in one mode"),
        (1, 0.01, 0.3, "drops modes: its samples cover 1 of 10"),  # hit by chance
        (2, 0.9, 0.3, "drops modes: its samples cover 2 of 10"),
        (10, 0.9, 0.3, ""),
        (0, 0.0, 0.001, "all samples are alike"),  # one point, wherever it is
    ],
)
def test_points_in_one_mode_or_at_one_place_are_a_collapse(modes, good, distinct, alarm, capsys):
    # on a raster real points are often alike, so that some copies tell nothing
    model = zoo.create("gan", hidden=(4,), latent_dim=2)
    covered = {"modes_covered": modes, "high_quality": good}
    logs = {"val_distinct": distinct, "floor_distinct": 0.4, **covered}
    alarms = alarms_of(model)
    for epoch in range(2 * monitor.PATIENCE):
        seen = logs if epoch % 2 else covered  # --eval_every=2
        alarms.on_epoch_end(epoch, {**seen, "d_real": 0.5, "d_fake": 0.5})
    said = capsys.readouterr().err
    assert alarm in said and bool(said) == bool(alarm)
    assert ("collapsed" in said) == (alarm in ("lie in one mode", "all samples are alike"))


def test_modes_are_missing_however_many_it_is(capsys):
    alarms = alarms_of(zoo.create("gan", hidden=(4,), latent_dim=2))
    quiet = {"d_real": 0.5, "d_fake": 0.5, "high_quality": 0.9}
    for epoch in range(monitor.PATIENCE):
        alarms.on_epoch_end(epoch, {**quiet, "modes_covered": 1 + (epoch + 1) % 2})
    assert "drops modes: its samples cover 2 of 10" in capsys.readouterr().err


def test_a_class_that_is_never_seen_where_it_is_asked_for_is_absent(capsys):
    model = zoo.create("cgan", network="mlp", hidden=(4,), latent_dim=2)
    alarms = alarms_of(model)
    of = {name: 0.9 for name in NAMES}
    logs = {"val_class_fidelity_of": {**of, NAMES[3]: 0.05}, "floor_class_fidelity_of": of}
    for epoch in range(monitor.PATIENCE):
        assert not capsys.readouterr().err
        alarms.on_epoch_end(epoch, {"d_real": 0.5, "d_fake": 0.5, **logs})
    assert f"hardly any {NAMES[3]} where it is asked for" in capsys.readouterr().err


def test_modes_are_counted_in_epochs_without_a_look(capsys):
    alarms = alarms_of(zoo.create("gan", hidden=(4,), latent_dim=2))
    quiet = {"d_real": 0.5, "d_fake": 0.5, "high_quality": 0.9}
    looked = {"val_distinct": 0.3, "floor_distinct": 0.4}
    for epoch in range(2 * monitor.PATIENCE):  # never one mode in a row
        seen = {"modes_covered": 1, **looked} if epoch % 2 else {"modes_covered": 10}
        alarms.on_epoch_end(epoch, {**quiet, **seen})
    assert not capsys.readouterr().err
    for epoch in range(monitor.PATIENCE):
        alarms.on_epoch_end(epoch, {**quiet, "modes_covered": 1})
    assert "lie in one mode" in capsys.readouterr().err


@pytest.mark.parametrize("loss", ["hinge", "least_squares"])
@pytest.mark.parametrize(("share", "alarm"), [(0.5, False), (0.03, False), (0.01, True)])
def test_a_value_near_its_greatest_is_a_discriminator_that_has_won(loss, share, alarm, capsys):
    model = zoo.create("gan", hidden=(4,), latent_dim=2, loss=loss)
    alarms = alarms_of(model)
    for epoch in range(monitor.PATIENCE):
        logs = {"value": share * model.equilibrium, "d_real": 0.99, "d_fake": -1.0}
        alarms.on_epoch_end(epoch, logs)
    assert ("the discriminator has won" in capsys.readouterr().err) == alarm


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("short", "alarm"), [(0.005, True), (0.02, False)])
def test_a_discriminator_wins_by_the_target_that_it_has(smoothing, short, alarm, capsys):
    model = zoo.create("gan", hidden=(4,), latent_dim=2, label_smoothing=smoothing)
    alarms = alarms_of(model)
    for epoch in range(monitor.PATIENCE):
        alarms.on_epoch_end(epoch, {"d_real": 1 - smoothing - short, "d_fake": 0.001})
    assert ("the discriminator has won" in capsys.readouterr().err) == alarm


def test_the_first_steps_do_not_count(capsys):
    alarms = alarms_of(zoo.create("gan", hidden=(4,), latent_dim=2), first_epoch=4)
    bad = {"d_real": 0.5, "d_fake": 0.5, "val_distinct": 0.001, "floor_distinct": 1.0}
    for epoch in range(2 + monitor.PATIENCE):
        alarms.on_epoch_end(epoch, bad)
        assert not capsys.readouterr().err
    alarms.on_epoch_end(2 + monitor.PATIENCE, bad)
    assert "epoch 6: the generator has collapsed" in capsys.readouterr().err


def test_epochs_without_a_look_do_not_interrupt_a_row():
    alarms = alarms_of(zoo.create("gan", hidden=(4,), latent_dim=2), stop_on_collapse=True)
    quiet = {"d_real": 0.5, "d_fake": 0.5}
    bad = {**quiet, "val_distinct": 0.001, "floor_distinct": 1.0}
    for epoch in range(2 * monitor.PATIENCE - 2):
        alarms.on_epoch_end(epoch, bad if epoch % 2 else quiet)
    with pytest.raises(monitor.Collapsed):
        alarms.on_epoch_end(2 * monitor.PATIENCE - 1, bad)


@pytest.mark.parametrize(
    ("name", "num", "count", "alarm"),
    [
        ("gan", 30, 1, True),
        ("gan", 30, 2, False),
        ("cgan", 20, 10, True),  # two of each class were drawn, and are the same
        ("cgan", 20, 20, False),
    ],
)
def test_one_image_is_a_collapse_among_however_few(name, num, count, alarm, capsys):
    alarms = alarms_of(zoo.create(name, network="mlp", hidden=(4,), latent_dim=2), num=num)
    logs = {"val_distinct": count / num, "floor_distinct": 1.0, "d_real": 0.5, "d_fake": 0.5}
    for epoch in range(monitor.PATIENCE):
        alarms.on_epoch_end(epoch, logs)
    assert ("collapsed" in capsys.readouterr().err) == alarm


def test_a_conditional_model_of_one_image_a_class_has_collapsed(capsys):
    model = zoo.create("cgan", network="mlp", hidden=(4,), latent_dim=2, num_classes=25)
    share = 25 / monitor.NUM_SAMPLES
    logs = {"val_distinct": share, "floor_distinct": 1.0, "d_real": 0.5, "d_fake": 0.5}
    alarms = alarms_of(model)
    for epoch in range(monitor.PATIENCE):
        alarms.on_epoch_end(epoch, logs)
    assert "collapsed" in capsys.readouterr().err
