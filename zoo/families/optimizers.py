"""The optimizer that a recipe asks for."""

import keras


def adam(
    learning_rate: float,
    updates: int = 1,
    *,
    recipe,
    num_steps: int | None,
    replicas: int,
) -> keras.optimizers.Adam:
    """Adam, or AdamW where weights decay.

    It scales down the gradient of its replica, a part of the whole; see `ImageModel._descend`.

    Args:
      learning_rate: at its greatest.
      updates: of the weights in a training step.
      recipe: of the model; see `zoo/recipes.py`.
      num_steps: the length of the training, without which step sizes do not decay.
      replicas: among which a batch is split.
    """
    schedules, warmup = keras.optimizers.schedules, recipe.warmup_steps * updates
    if recipe.decay == "cosine" and num_steps:
        if warmup:
            rest = max(1, num_steps * updates - warmup)
            learning_rate = schedules.CosineDecay(
                0.0, rest, warmup_target=learning_rate, warmup_steps=warmup
            )
        else:
            learning_rate = schedules.CosineDecay(learning_rate, num_steps * updates)
    elif warmup:
        learning_rate = schedules.PolynomialDecay(0.0, warmup, learning_rate)
    return keras.optimizers.Adam(
        learning_rate,
        recipe.beta_1,
        recipe.beta_2,
        weight_decay=recipe.weight_decay or None,
        global_clipnorm=recipe.clip_norm / replicas if recipe.clip_norm else None,
    )
