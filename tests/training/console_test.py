"""The line of an epoch: few numbers, those that matter."""

import pytest

from zoo.training import callbacks

VAE = ("loss", "reconstruction_nats", "kl_nats", "elbo_nats", "bits_per_dim")
GAN = ("d_loss", "g_loss", "value", "d_real", "d_fake")


def logs_of(*names):
    return dict.fromkeys([*names, *(f"val_{name}" for name in names)], 1.0)


@pytest.mark.parametrize(
    ("logs", "monitor", "shown"),
    [
        (logs_of(*VAE), "val_loss", "loss val_loss val_bits_per_dim val_kl_nats"),
        (
            logs_of(*VAE),
            "val_elbo_nats",
            "loss val_loss val_bits_per_dim val_kl_nats val_elbo_nats",
        ),
        (
            {**logs_of(*GAN), "val_fid": 1.0, "val_class_fidelity": 1.0, "val_distinct": 1.0},
            "val_fid",
            "d_loss g_loss value val_fid val_class_fidelity",
        ),
        (
            {**logs_of(*GAN), "val_fid": 1.0, "val_class_fidelity": 1.0, "val_distinct": 1.0},
            "val_distinct",
            "d_loss g_loss value val_fid val_distinct",
        ),
        ({"d_loss": 1.0, "g_loss": 1.0}, "val_fid", "d_loss g_loss"),  # of a batch
        ({"unknown": 1.0}, "", ""),
    ],
)
def test_at_most_five_numbers_and_the_monitored_one_are_shown(logs, monitor, shown):
    found = callbacks.Console(monitor, False).shown(logs)
    assert list(found) == shown.split() and len(found) <= 5
