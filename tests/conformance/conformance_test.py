"""What every registered model must do. A new model is adopted from the registry by its name."""

import contextlib
import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import ONLY_IN_TRAINING, SMALL, VARIANTS, of_shape

import zoo
from zoo import registry
from zoo.core.arrays import digest
from zoo.core.backend import precision
from zoo.families.adversarial import AdversarialModel
from zoo.hub import checkpoints, export

SHAPE = (12, 12, 1)
REFUSED = (zoo.InputError, tf.errors.InvalidArgumentError)  # by a call, by an exported graph


# what a model's documentation promises beside what its family logs
LOGGED = {
    "acgan": {"log_p_y_real", "log_p_y_fake"},
    "categorical_vae": {"perplexity", "temperature"},
    "gmm_vae": {"components_used", "component_nats", "prior_components_used"},
    "infogan": {"mi_nats", "mi_category_nats"},
    "hierarchical_vae": {"kl_1_nats", "kl_2_nats"},
    "iwae": {"iwae_nats"},
    "vqvae": {"codes_used"},
    "wgan_gp": {"penalty"},
}


# a model of each family, the GAN one that is told labels: others take the same paths, and minutes
BY_DEFAULT = {"classifier", "vae", "pixelcnn", "cgan"}


def of_each(names, weekly=()):
    """The tests of a model in one process: some share what was trained."""

    def marks(name):
        tier = pytest.mark.weekly if name in weekly else pytest.mark.slow
        return [pytest.mark.xdist_group(name), *([] if name in BY_DEFAULT else [tier])]

    return pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in names])


every_model = of_each(registry.trainable())
every_model_and_variant = of_each([*registry.trainable(), *VARIANTS])
# what a variant keeps and exports is found by the same code as its base model's
every_model_and_weekly_variants = of_each([*registry.trainable(), *VARIANTS], weekly=VARIANTS)
every_graph = [*registry.trainable(), *(n for n in VARIANTS if n not in ONLY_IN_TRAINING)]
every_export = of_each(every_graph, weekly=VARIANTS)


def make(name, seed=5, shape=SHAPE, **changes):
    keras.utils.set_random_seed(seed)
    name, settings = of_shape(name, shape)
    return zoo.create(name, shape, **{**settings, **changes})


@pytest.fixture(scope="module")
def data(fashion_mnist):
    """The middles of 64 images, and their labels."""
    return fashion_mnist.train.images[:64, 8:20, 8:20], fashion_mnist.train.labels[:64]


@pytest.fixture(scope="module")
def trained(data):
    """By name a model that learnt a little, and its weights before; tests may train it further."""

    @functools.cache
    def trained(name):
        model = make(name)
        before = weights(model)
        model.fit(*data, batch_size=32, epochs=2, verbose=0)
        return model, before

    return trained


def weights(model):
    return [np.asarray(v) for v in model.trainable_variables]


def knows_nothing_of(model, variable):
    """Whether it is the constant in a score: a game of differences has no gradient for it."""
    return variable.shape == (1,) and not getattr(model, "probabilistic", True)


@contextlib.contextmanager
def rate(optimizer, value):
    """Another learning rate for a while."""
    before = optimizer.learning_rate.numpy()
    optimizer.learning_rate = value
    yield
    optimizer.learning_rate = before


def of_its_pixels(model, images):
    """Images as they are, or black and white where the model knows no others."""
    white = 255 if images.dtype == np.uint8 else 1
    return np.where(images > white / 2, white, 0).astype(images.dtype) if model.binary else images


def on_the_way(model):
    """Six images between noise and data."""
    shape = (6, *model.way_shape)
    return tf.constant(np.sin(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape))


def answers(model, data):
    """What a model says by its public methods, as arrays."""
    images, labels = of_its_pixels(model, data[0][:6]), data[1][:6]
    known = labels if model.conditional else None
    result = {}
    if hasattr(model, "sample"):
        result["sample"] = model.sample(6, known, seed=3)
    if "encode" in model.can:
        result["loc"] = model.encode(images, known).mean()
        result["scale"] = model.encode(images, known).stddev()
        result["reconstruct"] = model.reconstruct(images, known)
    if "log_prob" in model.can:
        of_bound = {} if model.exact else {"num_samples": 3, "seed": 2}
        result["log_prob"] = model.log_prob(images, known, **of_bound)
    if "complete" in model.can:
        result["complete"] = model.complete(images, 6, known, seed=4)
    if "velocity" in model.endpoints():
        result["velocity"] = model.velocity(on_the_way(model), tf.fill([6], 0.3), known)
    if hasattr(model, "discriminate"):
        result["discriminate"] = model.discriminate(images, labels)
    if hasattr(model, "classify"):
        result["classify"] = model.classify(images)
    return {k: np.asarray(v) for k, v in result.items()}


def assert_same(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], err_msg=name, **tolerance)


def test_no_model_is_left_out():
    assert {*SMALL, *registry.COMPOSED} == set(registry.list_models())


@of_each(every_graph)
def test_config_round_trip(name):
    model = make(name)
    assert model.built
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert again.config == model.config and again.image_shape == model.image_shape
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]


@every_model
def test_fit_lowers_what_is_minimised(name, data, trained):
    model, _ = trained(name)
    with contextlib.ExitStack() as rates:
        if isinstance(model, AdversarialModel):  # a still opponent: D's loss can only fall
            rates.enter_context(rate(model.optimizer, 0.0))
            rates.enter_context(rate(model.discriminator_optimizer, 1e-3))
        elif registry.recipe(name).warmup_steps:  # whose first steps are too small to be seen
            model = make(name)
            model.compile(keras.optimizers.Adam(1e-2))
        history = model.fit(*data, batch_size=32, epochs=8, verbose=0).history
    loss = history["d_loss" if isinstance(model, AdversarialModel) else "loss"]
    assert loss[-1] < loss[0]
    assert set(history) == set(model.tracked) >= LOGGED.get(name, set())


@every_model_and_variant
def test_every_weight_is_trained(name, trained):
    model, before = trained(name)
    for old, new, v in zip(before, weights(model), model.trainable_variables, strict=True):
        assert knows_nothing_of(model, v) or (old != new).any(), v.path


@every_model_and_weekly_variants
def test_checkpoint_holds_all_that_the_next_step_depends_on(name, data, trained, tmp_path):
    model, _ = trained(name)
    checkpoints.Manager(tmp_path).save(model, 4)
    other = make(name, seed=99)
    assert checkpoints.Manager(tmp_path).restore(other) == (4, 0.0)
    for m in (model, other):
        m.train_step(data)
        m.train_step(data)
    a, b = ({k: np.asarray(v) for k, v in checkpoints.state(m).items()} for m in (model, other))
    assert digest(a) == digest(b)


@every_export
def test_export_answers_the_same(name, data, trained, tmp_path):
    model, _ = trained(name)
    export.saved_model(model, tmp_path / "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    call = loaded.signatures
    assert set(call) == {*model.endpoints(), "serving_default"}
    images = tf.constant(of_its_pixels(model, data[0][:6]) / np.float32(255))
    labels = tf.constant(data[1][:6])
    n, seed = tf.constant(6), tf.constant(3)
    given = {"labels": labels} if model.conditional else {}
    exported = {}
    if "sample" in call:
        drawn = [call["sample"](seed=s, **(given or {"num_samples": n})) for s in (seed, seed + 1)]
        exported["sample"], other = (d["images"] for d in drawn)
        assert (other.numpy() != exported["sample"].numpy()).mean() > 0.1
    if "encode" in call:
        exported.update(call["encode"](images=images, **given))
        exported["reconstruct"] = call["reconstruct"](images=images, **given)["images"]
    if "log_prob" in call:
        of_bound = {} if model.exact else {"num_samples": tf.constant(3), "seed": tf.constant(2)}
        exported["log_prob"] = call["log_prob"](images=images, **of_bound, **given)["log_prob"]
    if "decode" in call:
        # the means, or likeliest one-hots
        codes = model.code(model.encode(images, *given.values()))
        decoded = call["decode"](latents=codes, **given)["images"]
        rebuilt = exported["reconstruct"]
        if getattr(model, "num_levels", 1) > 1:  # codes are of the top level
            rebuilt = model.reconstruct(images, num_levels=1)
        np.testing.assert_allclose(decoded, rebuilt, atol=1e-6)
    if "complete" in call:
        mask = tf.repeat(tf.range(12)[:, None] < 6, 12, 1)
        which = {"mask": tf.stack([mask] * 6)} if "velocity" in call else {"num_rows": n}
        exported["complete"] = call["complete"](
            images=images, seed=tf.constant(4), **which, **given
        )["images"]
    if "velocity" in call:
        there = {"x": on_the_way(model), "t": tf.fill([6], 0.3)}
        exported["velocity"] = call["velocity"](**there, **given)["velocity"]
    if "mean_velocity" in call:
        there["to"] = tf.fill([6], 0.7)
        found = call["mean_velocity"](**there, **given)["mean_velocity"]
        expected = model.velocity(there["x"], there["t"], *given.values(), to=there["to"])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if "discriminate" in call:
        exported["discriminate"] = call["discriminate"](images=images, **given)["logits"]
    if "classify" in call:
        exported["classify"] = call["classify"](images=images)["probabilities"]
    assert_same(
        answers(model, data), {k: v.numpy() for k, v in exported.items()}, rtol=1e-5, atol=1e-6
    )
    if given:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.9"):
            call["sample"](labels=tf.constant([10]), seed=seed)


@of_each([name for name in registry.trainable() if name != "classifier"])
def test_labels_that_cannot_be_are_refused(name, data):
    model, images = make(name), data[0][:2]
    if model.conditional:
        calls = [lambda y: model.sample(2, y, seed=0)]
        if hasattr(model, "generate"):
            latents = model.draw_prior(2, seed=0)
            calls.append(lambda y: model.generate(latents, y))
            with pytest.raises(zoo.InputError, match="give it labels"):
                model.generate(latents)
        if hasattr(model, "discriminate"):
            calls.append(lambda y: model.discriminate(images, y))
        if "encode" in model.can:
            calls.append(lambda y: model.encode(images, y).mean())
        if hasattr(model, "log_prob"):
            calls.append(lambda y: model.log_prob(images, y))
        for call in calls:
            with pytest.raises(zoo.InputError, match=r"labels must be in 0\.\.9"):
                call([3, 10])
        with pytest.raises(zoo.InputError, match="2 samples need as many labels, not 3"):
            model.sample(2, [1, 2, 3])
    elif hasattr(model, "sample"):
        with pytest.raises(zoo.InputError, match="takes no labels"):
            model.sample(2, [1, 2])
    if hasattr(model, "log_prob") and not model.conditional:
        with pytest.raises(zoo.InputError, match="takes no labels"):
            model.log_prob(images, [1, 2])
    if hasattr(model, "log_prob") and not (model.exact or model.conditional):
        with pytest.raises(zoo.InputError, match="num_samples must be at least 1"):
            model.log_prob(images, num_samples=0)


@of_each([name for name in VARIANTS if name.endswith("of black and white")])
def test_gray_images_have_no_likelihood_under_black_and_white_pixels(name, data, tmp_path):
    model = make(name)
    export.saved_model(model, tmp_path / "saved_model")
    exported = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["log_prob"]
    more = {} if model.exact else {"num_samples": tf.constant(2), "seed": tf.constant(0)}
    calls = [model.log_prob, lambda x: exported(images=tf.constant(x), **more)]
    if hasattr(model, "complete"):
        calls.append(lambda x: model.complete(x, 6, seed=0))
    gray = data[0][:2] / np.float32(255)
    for call in calls:
        call(of_its_pixels(model, gray))
        with pytest.raises(REFUSED, match="pixels must be 0 or 1"):
            call(gray)


@every_model
def test_images_of_any_number_type_are_the_same_images(name, data):
    model, (images, labels) = make(name), data
    kinds = [images, images / np.float64(255), images / np.float32(255)]
    expected, *others = [answers(model, (x, labels)) for x in kinds]
    if "log_prob" in expected:
        assert np.isfinite(model.bits_per_dim(expected["log_prob"])).all()
    for other in others:
        assert_same(expected, other, rtol=1e-5, atol=1e-5)


def first_step(model, data):
    """What a model logs of it; D stands still, as float16's loss scaling would skip its steps."""
    with contextlib.ExitStack() as rates:
        if isinstance(model, AdversarialModel):
            rates.enter_context(rate(model.discriminator_optimizer, 0.0))
        return {key: float(value) for key, value in model.train_step(data).items()}


@pytest.fixture(scope="module")
def whole(fashion_mnist):
    """16 whole images, and their labels: of their middles bigan's scores are small rests."""
    return fashion_mnist.train.images[:16], fashion_mnist.train.labels[:16]


@pytest.fixture(scope="module")
def in_float32(whole):
    """By name a model, its answers, and what it logs of its first step."""

    @functools.cache
    def in_float32(name):
        model = make(name, shape=(28, 28, 1))
        return model, answers(model, whole), first_step(model, whole)

    return in_float32


@every_model
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_its_float32_islands(name, policy, whole, in_float32):
    plain, expected, logged = in_float32(name)
    with precision(policy):
        mixed = make(name, shape=(28, 28, 1))
    assert keras.config.dtype_policy().name == "float32"
    for v in mixed.weights:
        if "seed" not in v.path:
            assert v.dtype == "float32", v.path
    before, got = weights(mixed), answers(mixed, whole)
    drawn = {"sample", "complete"} if hasattr(plain, "complete") else set()  # a level, or another
    for key in set(expected) - drawn:
        assert got[key].dtype == np.float32, key
        scale = np.abs(expected[key]).max()
        near = np.isclose(got[key], expected[key], rtol=0, atol=0.03 * scale)
        # where codes are discrete, a place whose two nearest are as near may take the other
        assert near.all() if plain.axes else near.mean() > 0.95, key
    got = first_step(mixed, whole)
    for key, values in logged.items():
        if "loss" in key or "nats" in key:
            # means of scores, which are no logits, cancel, and so do log K and what Q knows: their
            # scale is 1, however small they are
            cancels = key.startswith("mi_") or not getattr(plain, "probabilistic", True)
            atol = 0.03 if cancels else 0.0
            np.testing.assert_allclose(got[key], values, rtol=0.03, atol=atol, err_msg=key)
    if policy == "mixed_float16":
        optimizers = [mixed.optimizer, getattr(mixed, "discriminator_optimizer", None)]
        for optimizer in filter(None, optimizers):
            assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            optimizer.dynamic_scale.assign(16.0)  # one that fits: Keras finds it step by step
    for _ in range(2):  # in the first one vqvae's codes may all be new
        mixed.train_step(whole)
    for old, v in zip(before, mixed.trainable_variables, strict=True):
        assert knows_nothing_of(mixed, v) or (old != np.asarray(v)).any(), v.path
        assert np.isfinite(np.asarray(v)).all()


@of_each([n for n in registry.trainable() if issubclass(registry.model_class(n), AdversarialModel)])
def test_the_game_is_that_of_g_and_not_of_its_average(name, data):
    model = make(name, ema_decay=0.9)
    x, y = (tf.constant(a) for a in (data[0] / np.float32(255), data[1]))
    latents = model.draw_prior(len(x), seed=1)

    def losses():
        known = y if model.conditional else None
        by_d, by_g = (f(x, known, latents, False) for f in (model.d_losses, model.g_losses))
        return {"d_fake": by_d["d_fake"].numpy(), "g_loss": by_g["g_loss"].numpy()}

    expected = losses()
    for v in model.average.trainable_variables:
        v.assign(v + 0.1)
    assert_same(expected, losses(), rtol=0, atol=0)
    for v in model.generator.trainable_variables:
        v.assign(v + 0.1)
    for key, values in losses().items():
        assert (values != expected[key]).all(), key


@every_model
def test_sgd_step_is_the_same_under_loss_scaling(name, data):
    # forgetting scale_loss would divide the step by the scale, and nothing else would tell
    steps, norms = [], []
    for policy in ("float32", "mixed_float16"):
        with precision(policy):
            model = make(name)
            players = [keras.optimizers.SGD(0.1) for _ in range(2)]
            if policy == "mixed_float16":  # a small scale, so that no first step is skipped
                players = [keras.optimizers.LossScaleOptimizer(p, 16.0) for p in players]
            model.compile(*players[: 2 if isinstance(model, AdversarialModel) else 1])
        before = weights(model)
        logs = model.train_step(data)
        norms.append({key: float(v) for key, v in logs.items() if "grad_norm" in key})
        pairs = zip(weights(model), before, strict=True)
        steps.append(np.concatenate([(new - old).ravel() for new, old in pairs]))
    assert norms[1] == pytest.approx(norms[0], rel=0.05)
    cosine = steps[0] @ steps[1] / np.linalg.norm(steps[0]) / np.linalg.norm(steps[1])
    assert cosine > 0.98
    assert np.linalg.norm(steps[1]) == pytest.approx(np.linalg.norm(steps[0]), rel=0.05)


@pytest.mark.weekly
@pytest.mark.parametrize("name", [*registry.trainable(), *VARIANTS])
def test_xla_compiles_a_step(name, data):
    # noise comes from other generators there, so that losses are not compared
    model = make(name)
    before = weights(model)
    model.jit_compile = True
    # twice: before a flow's last layers, of zeros, have moved, no gradient reaches those below
    history = model.fit(*data, batch_size=32, epochs=2, verbose=0).history
    assert model.jit_compile and all(np.isfinite(v).all() for v in history.values())
    for old, v in zip(before, model.trainable_variables, strict=True):
        assert knows_nothing_of(model, v) or (old != np.asarray(v)).any(), v.path
