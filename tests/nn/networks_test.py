"""Networks by stages: as many as the images ask for, and what the options make of them."""

import dataclasses

import keras
import numpy as np
import pytest

from zoo import InputError
from zoo.core import stages
from zoo.nn import networks
from zoo.nn.layers import ResidualBlock

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("sides", "number"),
    [
        ((28, 28), 2),  # 7, 14, 28
        ((32, 32), 3),  # 4, 8, 16, 32
        ((64, 64), 4),
        ((128, 128), 5),
        ((256, 256), 6),
        ((48, 48), 3),  # 6, 12, 24, 48
        ((32, 128), 3),  # the shorter side decides
        ((60, 60), 2),  # 15 cannot be halved
        ((12, 12), 2),  # never fewer than in version 0.1
        ((1, 2), 2),
    ],
)
def test_sides_are_halved_until_they_are_small(sides, number):
    assert stages.number((*sides, 3)) == number


def test_widths_double_up_to_a_bound():
    assert stages.widths(32, 5) == [32, 64, 128, 256, 256]
    assert stages.widths(32, 6) == [16, 32, 64, 128, 256, 256]
    assert stages.widths(1, 8) == [1, 1, 1, 1, 2, 4, 8, 8]
    assert stages.widths(5, 2) == [5, 10]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_every_stage_halves_or_doubles_the_sides(number, residual):
    shape = (2**number * 3, 2**number * 2, 3)
    made = networks.Stages(4, number, residual, batch_norm=True)
    down = networks.conv_down(shape, made, None, name="down")
    assert down.output_shape == (None, 3, 2, made.widths[-1])
    up = networks.conv_up(5, made, shape, name="up")
    assert up.output_shape == (None, *shape)
    narrower = [layer.output.shape[1] for layer in up.layers if len(layer.output.shape) == 4]
    assert sorted(set(narrower)) == [3 * 2**i for i in range(number + 1)]
    grid = networks.grid_down(shape, made, 7, 1, name="grid")
    assert grid.output_shape == (None, 3, 2, 7)
    assert networks.grid_up((3, 2, 7), made, 6, 1, name="back").output_shape == (
        None,
        *shape[:2],
        6,
    )


def test_sides_that_cannot_be_halved_are_one_clear_line():
    with pytest.raises(InputError, match="3 stages needs images whose sides are multiples of 8"):
        networks.conv_up(5, networks.Stages(4, 3), (28, 28, 1), name="up")


@pytest.mark.parametrize("residual", [False, True])
def test_a_conditional_network_is_told_the_label(residual):
    made = networks.Stages(4, 3, residual, batch_norm=True)
    network = networks.conv_up(5, made, (16, 16, 1), num_classes=3, name="up")
    told = [v for v in network.trainable_variables if v.shape[0] == 3 and len(v.shape) == 2]
    # a scale and a shift of each of the labels, for each hidden layer
    assert len(told) == 2 * (2 * 3 - 0 + 1 if residual else 3)
    for v in told:
        v.assign(v + RNG.normal(size=v.shape))
    z, labels = RNG.normal(size=(1, 5)).repeat(3, 0), np.eye(3)
    images = network([z, labels]).numpy()
    assert (np.abs(images[0] - images[1:]).max(axis=(1, 2, 3)) > 1e-3).all()
    again = network([z, labels[[1, 1, 1]]]).numpy()
    np.testing.assert_allclose(again, images[[1, 1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("side", "stage"),
    [(28, 0), (32, 0), (64, 0), (128, 1), (256, 2)],  # between 14, 16, 32, 32, 32 a side
)
def test_attention_is_where_sides_are_first_at_most_32(side, stage):
    shape = (side, side, 3)
    made = networks.Stages(4, stages.number(shape), attention=True)
    assert made.attends(shape) == stage
    small = networks.Stages(1, made.number, attention=True)
    for network in (
        networks.conv_down(shape, small, 1, name="down"),
        networks.conv_up(2, small, shape, name="up"),
    ):
        attention = [v for v in network.layers if "attention" in v.name]
        assert [v.input.shape[1] for v in attention] == [side // 2 ** (stage + 1)]


@pytest.mark.parametrize(("side", "number"), [(28, 1), (64, 1), (128, 2)])
def test_attention_may_be_in_the_last_stage_of_both_players(side, number):
    made = networks.Stages(1, number, attention=True)
    for network in (
        networks.conv_down((side, side, 1), made, 1, name="down"),
        networks.conv_up(2, made, (side, side, 1), name="up"),
    ):
        attention = [v for v in network.layers if "attention" in v.name]
        assert [v.input.shape[1] for v in attention] == [side // 2**number]


def test_attention_that_all_stages_are_too_large_for_is_one_clear_line():
    made = networks.Stages(1, 2, attention=True)
    with pytest.raises(InputError, match="2 stages end at 64: raise num_stages"):
        networks.conv_up(2, made, (256, 256, 1), name="up")


def test_no_attention_unless_it_is_asked_for():
    assert networks.Stages(4, 4).attends((64, 64, 3)) == -1
    names = [v.name for v in networks.conv_up(2, networks.Stages(1), (8, 8, 1), name="up").layers]
    assert not any("attention" in name for name in names)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_residual_block_is_its_shortcut_where_the_rest_is_zero(norm):
    x = RNG.normal(size=(2, 4, 6, 3)).astype(np.float32)
    for direction in ("down", "up"):
        block = ResidualBlock(5, direction, norm)
        block(x)
        block.conv_2.kernel.assign(np.zeros((3, 3, 5, 5)))
        kernel, bias = (v.numpy() for v in (block.shortcut.kernel, block.shortcut.bias))
        short = x @ kernel[0, 0] + bias
        if direction == "down":
            expected = short.reshape(2, 2, 2, 3, 2, 5).mean(axis=(2, 4))
        else:
            expected = short.repeat(2, axis=1).repeat(2, axis=2)
        np.testing.assert_allclose(block(x).numpy(), expected, atol=1e-5)


def test_a_residual_block_by_hand():
    """conv(relu(conv(relu(x)))) of 3x3 kernels that look at their middle alone, then means."""
    x = RNG.normal(size=(2, 4, 4, 3)).astype(np.float32)
    block = ResidualBlock(5, "down")
    block(x)
    block.shortcut.kernel.assign(np.zeros(block.shortcut.kernel.shape))
    middle = {}
    for name in ("conv_1", "conv_2"):
        kernel = np.zeros(getattr(block, name).kernel.shape)
        kernel[1, 1] = middle[name] = RNG.normal(size=kernel.shape[2:])
        getattr(block, name).kernel.assign(kernel)
    inner = np.maximum(np.maximum(x, 0) @ middle["conv_1"], 0) @ middle["conv_2"]
    expected = inner.reshape(2, 2, 2, 2, 2, 5).mean(axis=(2, 4))
    np.testing.assert_allclose(block(x).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_batch_norms_in_a_residual_block_follow_training():
    x = (3 + 2 * RNG.normal(size=(64, 4, 4, 3))).astype(np.float32)
    block = ResidualBlock(5, "up", "batch")
    block(x, training=True)
    assert block.norm_1.moving_mean.numpy() == pytest.approx(
        0.01 * x.mean(axis=(0, 1, 2)), rel=1e-3
    )
    before = block.norm_1.moving_mean.numpy()
    block(x, training=False)
    np.testing.assert_array_equal(block.norm_1.moving_mean.numpy(), before)


@pytest.mark.parametrize("norm", ["none", "batch", "conditional"])
def test_a_residual_network_comes_back_from_a_file(norm, tmp_path):
    made = networks.Stages(3, 2, residual=True, batch_norm=norm == "batch")
    of = {"num_classes": 2 if norm == "conditional" else 0}
    network = networks.conv_up(4, made, (8, 8, 1), **of, name="up")
    z = RNG.normal(size=(2, 4)).astype(np.float32)
    given = [z, np.eye(2, dtype=np.float32)] if of["num_classes"] else z
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(given).numpy(), network(given).numpy())


def test_spectral_norms_and_initializers_reach_residual_blocks():
    made = networks.Stages(4, 2, True, spectral=True, initializer="zeros")
    down = networks.conv_down((8, 8, 1), made, 1, name="down")
    blocks = [v for v in down.layers if isinstance(v, ResidualBlock)]
    assert [type(v.conv_1).__name__ for v in blocks] == ["SpectralNormalization"] * 2
    assert [b.first for b in blocks] == [True, False]
    kernels = [v for b in blocks for v in b.trainable_variables if len(v.shape) == 4]
    assert len(kernels) == 6 and all((v.numpy() == 0).all() for v in kernels)


def test_options_are_data():
    made = networks.Stages(4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.width = 5
    assert dataclasses.replace(made, number=3).widths == [4, 8, 16]
