"""Experiments on what courses say of GANs, small enough to run while one watches."""

import numpy as np
import tensorflow as tf

from zoo.math import gan_losses
from zoo.math.noise import standard_normal
from zoo.math.pixels import in_unit_range

GENERATOR_LOSSES = ("saturating", "non_saturating")


def generator_gradients(model, images: np.ndarray, batch_size: int, seed: int = 0) -> dict:
    """The gradient of both generator losses at the same D and G, while D learns and G waits.

    Step i shows D the i-th batch; then both losses are differentiated by G's weights at the same
    latents, so that nothing but the loss differs (Goodfellow et al. 2014, section 3).

    Args:
      model: a compiled, untrained GAN.
      images: uint8 [N, H, W, C], in the order in which D sees them; N // batch_size steps.
      batch_size: B.
      seed: of the latents.

    Returns:
      `saturating` and `non_saturating`, the norms of the gradients, and `d_fake`, the mean of
      D(G(z)): a list of a number a step each.
    """
    variables = model.generator.trainable_variables
    discriminator = model.discriminator.trainable_variables

    @tf.function
    def step(real, i):
        latents = standard_normal([batch_size, model.latent_dim], tf.stack([seed, i]))
        with tf.GradientTape() as tape:
            values = model.d_losses(in_unit_range(real), None, latents, training=True)
            d_loss = tf.reduce_mean(values["d_loss"])
        model.discriminator_optimizer.apply(tape.gradient(d_loss, discriminator), discriminator)
        found = {}
        with tf.GradientTape(persistent=True) as tape:
            logits = model.discriminate(model.generate(latents, training=True))
            losses = {n: tf.reduce_mean(getattr(gan_losses, n)(logits)) for n in GENERATOR_LOSSES}
        for name, loss in losses.items():
            found[name] = tf.linalg.global_norm(tape.gradient(loss, variables))
        return {**found, "d_fake": tf.reduce_mean(tf.sigmoid(logits))}

    steps = [
        step(images[i * batch_size : (i + 1) * batch_size], tf.constant(i))
        for i in range(len(images) // batch_size)
    ]
    return {name: [float(s[name]) for s in steps] for name in (*GENERATOR_LOSSES, "d_fake")}


def training_curves(model, images: np.ndarray, batch_size: int) -> dict:
    """What training logs at each of its first steps: `g_grad_norm` and `d_fake`, a list each.

    Args:
      model: a compiled, untrained GAN.
      images: uint8 [N, H, W, C], in the order in which they are seen; N // batch_size steps.
      batch_size: B.
    """
    names = ("g_grad_norm", "d_fake")
    found = {name: [] for name in names}
    for i in range(len(images) // batch_size):
        model.reset_metrics()
        logs = model.train_on_batch(images[i * batch_size : (i + 1) * batch_size], return_dict=True)
        for name in names:
            found[name].append(float(logs[name]))
    return found
