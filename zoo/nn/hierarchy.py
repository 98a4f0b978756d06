"""Networks of models with several levels of latents: the way up, the way down, and each level.

The way up goes from an image to the top level's posterior, the way down from its latents to an
image. Both are cut where levels lie between their parts. Below the top a level is three networks
of the state s, what the way down has come to, and of the features h of the way up beside it:

    prior      s      -> raw parameters of p(z_l|z_{>l}), and the state that goes on
    posterior  (s, h) -> those of q(z_l|z_{>l}, x); of h alone where z_l is drawn before z_{>l}
    join       (s, z) -> the state that knows z_l

Convolutional networks are those of `zoo/nn/networks.py`, cut where their grids change, and the
blocks of Child 2021 (arXiv:2011.10650, figure 3) at each grid. Without blocks they are the same.
"""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.nn import networks
from zoo.nn.layers import SMALL

Level = tuple[keras.Model, keras.Model, keras.Model]  # prior, posterior and join


def conv_down(
    image_shape: Sequence[int],
    stages: networks.Stages,
    output_size: int,
    num_blocks: int,
    *,
    name: str,
) -> list[keras.Model]:
    """The way up: `networks.conv_down` in parts, with residual blocks at each grid.

    Args:
      image_shape: (H, W, C).
      stages: how the network is made.
      output_size: of the result.
      num_blocks: residual blocks at each grid.
      name: of the parts.

    Returns:
      A network for each grid, from the image on, to features [B, h, w, F] in the policy's
      precision; and a last one from the smallest grid to [B, output_size], linear at the end.

    Raises:
      InputError: the sides cannot be halved so often.
    """
    *parts, last = _parts(networks.conv_down(image_shape, stages, output_size, name=name), name)
    return [*(_with_blocks(part, num_blocks) for part in parts), last]


def conv_up(
    input_size: int, stages: networks.Stages, output_shape: Sequence[int], *, name: str
) -> list[keras.Model]:
    """The way down: `networks.conv_up` in parts.

    Args:
      input_size: of the top level's latents.
      stages: how the network is made.
      output_shape: (H, W, C).
      name: of the parts.

    Returns:
      A network for each grid, from the latents [B, input_size] on, to a state [B, h, w, F] in the
      policy's precision; and a last one to [B, H, W, C], linear at the end.

    Raises:
      InputError: the sides cannot be halved so often.
    """
    return _parts(networks.conv_up(input_size, stages, output_shape, name=name), name)


def mlp_down(
    input_shape: Sequence[int],
    hidden: Sequence[Sequence[int]],
    output_size: int,
    *,
    latents: Sequence[int] = (),
    activation: str,
    name: str,
) -> list[keras.Model]:
    """The way up, of dense layers.

    Args:
      input_shape: of images.
      hidden: units of the hidden layers of each part, from the image on.
      output_size: of the last part, which is linear at the end; others end in their hidden layers.
      latents: sizes of the latents that each part but the first one sees; none: it sees what the
        part before gives.
      activation: of the hidden layers.
      name: of the parts.
    """
    parts, shape = [], input_shape
    for i, units in enumerate(hidden):
        result = (output_size,) if i == len(hidden) - 1 else None
        name_of_it = f"{name}_{i}"
        parts.append(networks.mlp(shape, units, result, activation=activation, name=name_of_it))
        shape = (latents[i],) if i < len(latents) else parts[-1].output_shape[1:]
    return parts


def mlp_up(
    inputs: Sequence[int],
    hidden: Sequence[Sequence[int]],
    output_shape: Sequence[int],
    *,
    activation: str,
    name: str,
) -> list[keras.Model]:
    """The way down, of dense layers: a part from the latents of each level, the top's first.

    Args:
      inputs: latents of each level.
      hidden: units of the hidden layers of each part.
      output_shape: of the last part, which is linear at the end; others end in their hidden layers.
      activation: of the hidden layers.
      name: of the parts.
    """
    results = [*(None for _ in inputs[1:]), output_shape]
    return [
        networks.mlp((size,), units, result, activation=activation, name=f"{name}_{i}")
        for i, (size, units, result) in enumerate(zip(inputs, hidden, results, strict=True))
    ]


def conv_level(
    state_shape: Sequence[int], features_shape: Sequence[int], channels: int, num_levels: int
) -> Level:
    """A level of latents [B, h, w, channels]: a block of the VDVAE's decoder.

    Args:
      state_shape: (h, w, F).
      features_shape: (h, w, G).
      channels: of the latents.
      num_levels: of the whole model; each adds so much less to the state at first.
    """
    filters = state_shape[-1]
    share = {"class_name": "VarianceScaling", "config": {"scale": 1 / num_levels}}
    state, features = keras.Input(state_shape), keras.Input(features_shape)
    z = keras.Input((*state_shape[:2], channels))

    def raw(hidden):
        return layers.Conv2D(2 * channels, 1, kernel_initializer=SMALL, dtype="float32")(hidden)

    of_p, of_q = (
        _path(x, max(filters // 2, 1)) for x in (state, layers.Concatenate()([state, features]))
    )
    more = layers.Conv2D(filters, 1, kernel_initializer=SMALL)(of_p)
    after = layers.Add()([state, more])
    known = layers.Add()([state, layers.Conv2D(filters, 1, kernel_initializer=share)(z)])
    prior = keras.Model(state, [raw(of_p), after], name="prior")
    posterior = keras.Model([state, features], raw(of_q), name="posterior")
    return prior, posterior, keras.Model([state, z], _residual(known), name="join")


def mlp_level(state_size: int, features_size: int, size: int, sees_state: bool) -> Level:
    """A level of latents [B, size]: Gaussians whose parameters are linear in what they see.

    Below it z_l alone is known.

    Args:
      state_size: of the state.
      features_size: of the features.
      size: of the latents.
      sees_state: whether the posterior sees the state too.
    """
    state, features, z = (keras.Input((n,)) for n in (state_size, features_size, size))
    seen, of_q = features, features
    if sees_state:
        seen, of_q = [state, features], layers.Concatenate()([state, features])

    def raw(x):
        return layers.Dense(2 * size, dtype="float32")(x)

    prior = keras.Model(state, [raw(state), state], name="prior")
    posterior = keras.Model(seen, raw(of_q), name="posterior")
    return prior, posterior, keras.Model([state, z], z, name="join")


def _path(x, filters: int):
    """A residual path but for its last layer: three convolutions in a narrow space."""
    for size in (1, 3, 3):
        x = layers.Conv2D(filters, size, padding="same")(layers.Activation("silu")(x))
    return layers.Activation("silu")(x)


def _residual(x):
    filters = x.shape[-1]
    path = _path(x, max(filters // 2, 1))
    return layers.Add()([x, layers.Conv2D(filters, 1, kernel_initializer=SMALL)(path)])


def _with_blocks(part: keras.Model, num_blocks: int) -> keras.Model:
    (start,), (x,) = part.inputs, part.outputs
    for _ in range(num_blocks):
        x = _residual(x)
    return keras.Model(start, x, name=part.name)


def _parts(network: keras.Sequential, name: str) -> list[keras.Model]:
    """The network cut ahead of each layer that sees a grid, and gives none or another one."""
    parts = []
    for layer in network.layers:
        seen, given = (_grid(t.shape) for t in (layer.input, layer.output))
        if not parts or (seen and seen != given):
            parts.append([keras.Input(layer.input.shape[1:])])
        parts[-1].append(layer)
    return [keras.Sequential(part, name=f"{name}_{i}") for i, part in enumerate(parts)]


def _grid(shape: Sequence[int]) -> tuple[int, int] | None:
    return tuple(shape[1:3]) if len(shape) == 4 else None
