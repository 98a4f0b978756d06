"""The transformer over codes: its formulas, what a place sees, drawing by kept keys and values."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import zoo
from zoo.core.backend import precision
from zoo.nn.transformer import CodeTransformer, TransformerBlock

CODES = np.random.default_rng(3).integers(0, 5, (3, 6)).astype(np.int32)


def scattered(layer, seed=0):
    """The layer with weights that are far from those at the start."""
    rng = np.random.default_rng(seed)
    for v in layer.trainable_variables:
        v.assign(v + 0.4 * rng.standard_normal(v.shape))
    return layer


def network(causal, length=6):
    return scattered(CodeTransformer(5, length, 8, 2, 2, causal))


@pytest.mark.parametrize("causal", [True, False])
def test_a_block_is_its_formula(causal):
    block = TransformerBlock(2, causal)
    block.build((None, 5, 4))
    scattered(block)
    x = np.random.default_rng(1).standard_normal((3, 5, 4))
    w = {v.path.split("/", 1)[1]: np.asarray(v, np.float64) for v in block.trainable_variables}
    norms = [(np.asarray(n.gamma), np.asarray(n.beta)) for n in (block.norm_1, block.norm_2)]

    def norm(x, gamma, beta):
        return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1) + 1e-5)[..., None] + beta

    q, k, v = np.split(norm(x, *norms[0]) @ w["qkv/kernel"], 3, -1)
    heads = []
    for h in (slice(0, 2), slice(2, 4)):
        scores = q[..., h] @ k[..., h].transpose(0, 2, 1) / np.sqrt(2)
        if causal:
            scores[:, *np.triu_indices(5, 1)] = -np.inf
        heads.append(scipy.special.softmax(scores, -1) @ v[..., h])
    y = x + np.concatenate(heads, -1) @ w["out/kernel"] + w["out/bias"]
    inner = norm(y, *norms[1]) @ w["hidden/kernel"] + w["hidden/bias"]
    inner = inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))) / 2
    expected = y + inner @ w["back/kernel"] + w["back/bias"]
    np.testing.assert_allclose(block(x.astype(np.float32))[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_which_codes_a_place_sees(causal):
    net = network(causal)
    logits = net(CODES).numpy()
    for j in range(6):
        other = CODES.copy()
        other[:, j] = (other[:, j] + 1) % 5
        moved = np.abs(net(other).numpy() - logits).max(-1) > 1e-6
        assert (moved == (np.arange(6) > j if causal else True)).all(), j


def test_no_gradient_comes_from_later_codes():
    net = network(True)
    x = tf.random.stateless_normal([2, 6, 8], [0, 1])
    for i in range(6):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y, _ = net.blocks[0](x)
            at_i = tf.reduce_sum(y[:, i] ** 2)
        seen = np.abs(tape.gradient(at_i, x)).max((0, 2)) > 0
        np.testing.assert_array_equal(seen, np.arange(6) <= i)


def test_step_by_step_the_logits_are_those_of_the_full_pass():
    net = network(True)
    before, past, found = tf.fill([3], 5), net.begin(3), []
    for i in range(6):
        logits, past = net.step(before, tf.constant(i), past)
        found.append(logits)
        before = tf.constant(CODES[:, i])
    np.testing.assert_allclose(tf.stack(found, 1), net(CODES), atol=1e-4)


def test_places_are_told_apart_and_hidden_codes_from_others():
    net = network(False)
    logits = net(np.zeros((1, 6), np.int32)).numpy()[0]
    assert (np.abs(logits[:, None] - logits).max(-1) + np.eye(6) > 1e-3).all()
    hidden = net(np.array([[5, 0, 0, 0, 0, 0]], np.int32)).numpy()[0]
    assert np.abs(hidden - logits).max() > 1e-3


def test_heads_divide_the_channels():
    with pytest.raises(zoo.InputError, match="must be a multiple of its 3 heads, not 8"):
        CodeTransformer(5, 6, 8, 1, 3, True)


def test_a_network_comes_back_from_its_configuration():
    net = network(True)
    again = CodeTransformer.from_config(net.get_config())
    again.set_weights(net.get_weights())
    np.testing.assert_array_equal(again(CODES), net(CODES))


def test_in_bfloat16_it_gives_float32_logits_that_are_near():
    net = network(True)
    with precision("mixed_bfloat16"):
        mixed = CodeTransformer(5, 6, 8, 2, 2, True)
    mixed.set_weights(net.get_weights())
    found = mixed(CODES)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, net(CODES), atol=0.2)
    logits, past = mixed.step(tf.fill([3], 5), tf.constant(0), mixed.begin(3))
    assert logits.dtype == tf.float32 and past[0][0].dtype == tf.bfloat16
