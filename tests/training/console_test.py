"""The line of an epoch: few numbers, those that matter."""

import numpy as np
import pytest

import zoo
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


def test_a_run_prints_a_line_an_epoch(tmp_path, capsys, no_export):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    small = {"network": "mlp", "hidden": (8,), "latent_dim": 2, "batch_size": 8}
    zoo.train("vae", images, tmp_path, epochs=2, steps_per_epoch=2, **small)
    lines = capsys.readouterr().out.splitlines()
    [first, second] = [line for line in lines if line.startswith("2/2 - ")]
    for line in (first, second):
        names = [part.split(":")[0] for part in line.split(" - ")[3:]]
        assert names == ["loss", "val_loss", "val_bits_per_dim", "val_kl_nats"]
    assert "Epoch 2/2" in lines
