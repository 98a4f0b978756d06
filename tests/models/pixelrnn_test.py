"""The PixelRNN's truth beside those of all autoregressive models: its LSTM is the paper's."""

import keras
import numpy as np

from zoo.models.pixelrnn import RowLSTM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_row_lstm_is_equation_3_of_the_paper():
    keras.utils.set_random_seed(3)
    width, (batch, rows, columns) = 3, (2, 4, 5)
    layer = RowLSTM(width)
    rng = np.random.default_rng(0)
    for v in layer.weights:
        v.assign(rng.normal(size=v.shape))
    u = rng.normal(size=(batch, rows, columns, width)).astype(np.float32)
    k_is, bias = (np.asarray(v) for v in layer.input_to_state.weights)  # [1, 2, F, 4 F], [4 F]
    (k_ss,) = (np.asarray(v) for v in layer.state_to_state.weights)  # [3, F, 4 F]
    up, up_bias = (np.asarray(v) for v in layer.up.weights)  # [1, 1, F, F], [F]
    h, c = (np.zeros((batch, columns + 2, width)) for _ in range(2))  # with a column on each side
    expected = np.empty_like(u)
    for row in range(rows):
        new_h, new_c = np.zeros_like(h), np.zeros_like(c)
        for x in range(columns):
            left = u[:, row, x - 1] if x else np.zeros((batch, width))
            gates = left @ k_is[0, 0] + u[:, row, x] @ k_is[0, 1] + bias
            gates = gates + sum(h[:, x + i] @ k_ss[i] for i in range(3))
            o, f, i, g = np.split(gates, 4, axis=-1)
            new_c[:, x + 1] = sigmoid(f) * c[:, x + 1] + sigmoid(i) * np.tanh(g)
            new_h[:, x + 1] = sigmoid(o) * np.tanh(new_c[:, x + 1])
            expected[:, row, x] = u[:, row, x] + new_h[:, x + 1] @ up[0, 0] + up_bias
        h, c = new_h, new_c
    np.testing.assert_allclose(layer(u), expected, atol=1e-4)
