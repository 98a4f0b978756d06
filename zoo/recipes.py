"""The settings of a training run, as dataclasses: its recipe, and what belongs to no model.

This file needs no TensorFlow, so that command-line flags can be made of it (`zoo/commands/cli.py`).
"""

import dataclasses
from typing import Literal

from zoo.core.config import field

_PICTURES = "images of folder:PATH, tfds:NAME or hf:NAME"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings of a training run that are not the model's own."""

    epochs: int = field(
        20,
        "Passes over the training images, or epochs of steps_per_epoch.",
        lower=1,
        upper=2**31 - 1,
    )
    batch_size: int = field(128, "Images a step, over all devices.", lower=1)
    learning_rate: float = field(1e-3, "Adam's step size.", lower=1e-9)
    beta_1: float = field(0.9, "Adam's decay of the first moment.", lower=0.0, upper=0.9999)
    beta_2: float = field(0.999, "Adam's decay of the second moment.", lower=0.0, upper=0.99999)
    decay: Literal["none", "cosine"] = field(
        "none", "Step sizes stay as they are, or fall to 0 by the last step along a cosine."
    )
    warmup_steps: int = field(
        0, "First steps, in which step sizes grow from 0.", lower=0, upper=2**31 - 1
    )
    weight_decay: float = field(
        0.0,
        "AdamW's weight decay: each step shrinks every weight by this times the step size.",
        lower=0.0,
    )
    clip_norm: float = field(
        0.0, "Scale a gradient down whose norm is greater; 0 turns it off.", lower=0.0
    )
    monitor: str = field(
        "",
        "The logged scalar by which the best checkpoint is chosen, such as val_loss; empty: the "
        "last checkpoint is exported.",
    )


@dataclasses.dataclass(frozen=True)
class LikelihoodRecipe(Recipe):
    """The same for models of one loss."""

    average_decay: float = field(
        0.0,
        "Decay of a moving average of the weights, such as 0.999. The average is what samples, is "
        "measured and is exported; 0 turns it off.",
        lower=0.0,
        upper=0.99999,
    )


@dataclasses.dataclass(frozen=True)
class AdversarialRecipe(Recipe):
    """The same for two players; steps and first moment are those of Radford et al. 2016 (DCGAN)."""

    epochs: int = field(
        12,
        "Passes over the training images, or epochs of steps_per_epoch.",
        lower=1,
        upper=2**31 - 1,
    )
    batch_size: int = field(64, "Images for each step of D, over all devices.", lower=1)
    learning_rate: float = field(2e-4, "Adam's step size for the generator.", lower=1e-9)
    discriminator_learning_rate: float = field(
        2e-4, "Adam's step size for the discriminator.", lower=1e-9
    )
    beta_1: float = field(0.5, "Adam's decay of the first moment.", lower=0.0, upper=0.9999)
    monitor: str = field(
        "val_fid",
        "The logged scalar by which the best checkpoint is chosen; the last one where it is not "
        "measured.",
    )


@dataclasses.dataclass(frozen=True)
class TwoStageRecipe(LikelihoodRecipe):
    """The same for a model whose prior learns on alone when the rest is done."""

    prior_epochs: int = field(5, "The last epochs, in which only the prior learns.", lower=0)


@dataclasses.dataclass(frozen=True)
class Run:
    """Settings of a run that belong to no model."""

    dataset: str = field(
        "",
        "fashion_mnist (embedded, the default), emoji (embedded, in color), stacked_fashion_mnist "
        "(three garments as red, green and blue: 1,000 modes), mnist, cifar10 (downloaded), ring, "
        "grid (8 or 25 Gaussians in the plane), or folder:PATH with PNG, JPEG, WebP or BMP files: "
        "in a folder "
        "for each class, or without classes; in PATH, or in PATH/train with PATH/test or PATH/val. "
        "tfds:NAME and hf:NAME are of TensorFlow Datasets and of Hugging Face Datasets, or "
        "hf:PATH of a folder that the latter reads.",
        path=True,
    )
    data_dir: str = field(
        "",
        "Folder with the four IDX files of an MNIST-like set, gzipped or not, to be read instead. "
        "With --dataset=tfds:NAME the folder in which data sets lie, or are put.",
        path=True,
    )
    image_size: int = field(
        0,
        f"Side to which {_PICTURES} are resized, 0: as they are; or those of emoji, at most 64, "
        "0: 32.",
        lower=0,
    )
    fit: Literal["crop", "pad"] = field(
        "crop",
        f"How {_PICTURES} become square before they are resized: crop to their middle, or pad with "
        "white.",
    )
    gray: bool = field(False, f"Turn {_PICTURES} that are in color into gray ones.")
    flip: bool = field(False, "Mirror each training image, left for right, half of the time.")
    validation: float = field(
        -1.0,
        "Share of the training images that is held out for validation; -1: a tenth, at most 5,000, "
        "and none of fewer than 50 images.",
        lower=-1.0,
        upper=0.9,
    )
    test: float = field(
        -1.0,
        f"Share of {_PICTURES} that is held out for the test split, if they have none; -1: a "
        "tenth, and none of fewer than 50 images.",
        lower=-1.0,
        upper=0.9,
    )
    skip_broken: bool = field(
        False, f"Leave out {_PICTURES} that cannot be decoded, in place of stopping."
    )
    binarization: Literal["none", "static", "stochastic"] = field(
        "none", "Black or white pixels: drawn once for all, or anew at each step."
    )
    workdir: str = field(
        "", "Where everything is written; default runs/<model>-<dataset>.", path=True
    )
    init_from: str = field(
        "",
        "Start from the weights of this pretrained model, workdir or hf://USER/NAME. Those that do "
        "not fit, as with other classes, are named and left; at least half must fit.",
        path="reference",
    )
    steps_per_epoch: int = field(
        0,
        "Steps an epoch; 0: a pass over the data. When left out an epoch of fewer than 27,500 or "
        "more than 110,000 images sees 55,000 of them.",
        lower=0,
        upper=2**31 - 1,
    )
    budget: str = field(
        "",
        "The time that the training may take, such as 90s, 15m or 2h, in place of epochs. How many "
        "that is on this machine is measured in its first steps, and then written down.",
    )
    seed: int = field(
        0, "Random seed of weights, noise and the order of the data.", lower=0, upper=2**31 - 1
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = field(
        "float32", "What layers compute in; weights and losses stay float32."
    )
    strategy: Literal["none", "mirrored", "multi_worker"] = field(
        "none",
        "mirrored: one replica on each visible device, the batch split between them; multi_worker: "
        "that on every machine of the cluster in TF_CONFIG, with one workdir that all share.",
    )
    jit_compile: Literal["auto", "on", "off"] = field(
        "auto",
        "Compile steps with XLA; auto: off. On CPUs it is often faster for dense networks, and for "
        "convolutional GANs without AVX-512. On GPUs it was not tried: the gradient of a "
        "classifier's pooling has no deterministic form there, and a resumed run may end in other "
        "bits.",
    )
    steps_per_execution: int = field(
        1,
        "Training steps between two returns to Python: 10 or so quicken small networks. It must "
        "divide an epoch's steps and --checkpoint_steps.",
        lower=1,
    )
    checkpoint_steps: int = field(
        0, "Steps between checkpoints inside an epoch; 0: only at its end.", lower=0
    )
    watch: Literal["auto", "on", "off"] = field(
        "auto",
        "Measure 1,000 samples while the model trains: FID (too high with so few samples, but the "
        "best checkpoint has the least), classes, distinct samples. auto: GANs and what draws "
        "in steps.",
    )
    eval_every: int = field(
        1, "Epochs between two such measurements, and one after the last; 0: none.", lower=0
    )
    classifier: str = field(
        "",
        "The classifier whose features these measurements use: a pretrained one, a workdir or "
        "hf://USER/NAME. Default: the pretrained one that was trained on the same images.",
        path="reference",
    )
    stop_on_collapse: bool = field(
        False,
        "Stop, with exit code 3, when nearly all samples are alike in three looks in a row, or all "
        "good samples of 2-D toy data lie in one mode, after 500 steps (models whose samples are "
        "watched).",
    )
    overwrite: bool = field(False, "Delete what an earlier run left in the workdir.")
