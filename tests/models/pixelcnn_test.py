"""The PixelCNN's own truths."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

SMALL = {"width": 4, "num_layers": 2, "kernel_size": 3, "head": 8}


def test_silent_outputs_cost_eight_bits(fashion_mnist):
    model = zoo.create("pixelcnn", **SMALL)
    model.outputs[0].kernel.assign(tf.zeros_like(model.outputs[0].kernel))
    values = model.losses(fashion_mnist.test.images[:4] / np.float32(255), None, False)
    np.testing.assert_allclose(values["bits_per_dim"], 8, rtol=1e-5)
    np.testing.assert_allclose(values["log_prob_nats"], -784 * np.log(256), rtol=1e-5)
    np.testing.assert_array_equal(values["loss"], -values["log_prob_nats"])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_padded_kernels_are_the_masked_ones(first, kernel_size):
    # the paper's way, as an oracle: k x k kernels under masks (figure 2 and section 2.3)
    from zoo.nn.layers import GatedCausalBlock

    def gate(raw):  # eq. 2
        a, b = np.split(np.asarray(raw), 2, axis=-1)
        return np.tanh(a) / (1 + np.exp(-b))

    k, s = kernel_size, kernel_size // 2
    keras.utils.set_random_seed(3)
    block = GatedCausalBlock(4, k, first=first)
    block.build((None, 6, 7, 4), (None, 6, 7, 4))
    v, h = (np.random.default_rng(i).standard_normal([2, 6, 7, 4], np.float32) for i in (0, 1))
    mine = block(v, h)

    v_kernel, h_kernel = np.zeros([k, k, 4, 8], np.float32), np.zeros([1, k, 4, 8], np.float32)
    v_kernel[: block.reach] = block.v_conv.kernel
    h_kernel[:, : block.reach] = block.h_conv.kernel
    assert block.reach == (s if first else s + 1)
    raw = tf.nn.conv2d(v, v_kernel, 1, "SAME") + block.v_conv.bias
    expected_v = gate(raw) + (0 if first else v)
    raw = tf.nn.conv2d(h, h_kernel, 1, "SAME") + block.h_conv.bias + block.v_to_h(raw)
    expected_h = block.h_out(gate(raw)) + (0 if first else h)
    np.testing.assert_allclose(mine[0], expected_v, atol=1e-5)
    np.testing.assert_allclose(mine[1], expected_h, atol=1e-5)


@pytest.mark.slow
def test_drawing_is_faster_than_the_usual_loop():
    # the usual loop computes the whole image for each of the 784 pixels; its time is that of 784
    # passes, of which a few are enough to know it
    model = zoo.create("pixelcnn", num_layers=4)
    images = model.sample(64, seed=0)
    forward = tf.function(lambda x: model.features(x))
    forward(images)
    start = time.process_time()  # of this process alone: others may keep the cores busy
    for _ in range(3):
        forward(images)
    usual = 784 * (time.process_time() - start) / 3
    start = time.process_time()
    model.sample(64, seed=1)
    assert usual > 20 * (time.process_time() - start)


@pytest.mark.slow
def test_levels_without_an_order_learn_as_well():
    # a checkerboard of levels 0 and 2 of 3, starting at random: two images, one bit
    board = np.indices([4, 4]).sum(0) % 2
    images = np.stack([board, 1 - board])[..., None].astype(np.float32).repeat(16, 0)
    model = zoo.create("pixelcnn", (4, 4, 1), levels=3, pixels="one_hot", **SMALL)
    model.optimizer.learning_rate = 0.02
    model.fit(images, np.zeros(32, np.int32), batch_size=32, epochs=60, verbose=0)
    nats = -model.log_prob(images).numpy().mean()
    assert np.log(2) - 1e-3 < nats < np.log(2) + 0.15
