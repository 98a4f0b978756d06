"""A small configuration of every registered model, for conformance and other tests."""

import atexit
import functools
import pathlib
import shutil
import tempfile

from zoo import registry

_SMALL = {
    "classifier": {"width": 4},
    "vae": {"network": "mlp", "hidden": (16,), "latent_dim": 3},
    "iwae": {"network": "mlp", "hidden": (16,), "latent_dim": 3, "num_samples": 2},
    "cvae": {"network": "mlp", "hidden": (16,), "latent_dim": 3},
    "gmm_vae": {
        "network": "mlp",
        "hidden": (16,),
        "latent_dim": 3,
        "num_components": 2,
        "mixture_weights": "learned",
        "num_prior_components": 4,
    },
    "flow_vae": {
        "network": "mlp",
        "hidden": (16,),
        "latent_dim": 3,
        "num_flows": 2,
        "flow_hidden": (8,),
        "context_dim": 4,
    },
    "categorical_vae": {
        "network": "mlp",
        "hidden": (16,),
        "num_latents": 3,
        "num_categories": 4,
    },
    "hierarchical_vae": {
        "network": "mlp",
        "hidden": (16, 8),
        "lower_latent_dims": (4,),
        "latent_dim": 3,
        "likelihood": "quantized_gaussian",
    },
    "pixelcnn": {"width": 4, "num_layers": 2, "kernel_size": 3, "head": 8},
    "pixelrnn": {"width": 4, "num_layers": 1, "kernel_size": 3, "head": 8, "conditional": True},
    "vqvae": {
        "codebook_size": 8,
        "code_dim": 3,
        "width": 4,
        "num_blocks": 1,
        "prior_width": 4,
        "prior_layers": 2,
        "transformer_width": 8,
        "transformer_layers": 1,
        "transformer_heads": 2,
        "num_steps": 3,
    },
    "realnvp": {
        "network": "mlp",
        "hidden": (16,),
        "num_flows": 2,
        "num_dequantization_flows": 2,
    },
    "flow_matching": {
        "width": 4,
        "num_stages": 1,
        "num_blocks": 1,
        "num_steps": 2,
        "guidance": 1.0,
    },
    # the U-Net is that of flow_matching, and takes long to trace
    "diffusion": {"network": "mlp", "hidden": (16,), "num_steps": 2, "guidance": 1.0},
    "mean_flow": {"network": "mlp", "hidden": (16,), "num_steps": 2, "guidance": 1.0},
    "latent_diffusion": {"width": 4, "num_blocks": 1, "num_steps": 2, "guidance": 1.0},
    "gan": {"hidden": (16,), "latent_dim": 3},
    "dcgan": {"width": 4, "latent_dim": 3},
    "wgan_gp": {"network": "mlp", "hidden": (16,), "latent_dim": 3, "discriminator_steps": 2},
    "sngan": {"width": 4, "latent_dim": 3},
    "infogan": {"network": "mlp", "hidden": (16,), "latent_dim": 3, "num_categories": 3},
    "bigan": {"network": "mlp", "hidden": (16,), "latent_dim": 3},
    "acgan": {"network": "mlp", "hidden": (16,), "latent_dim": 3},
    "projection_cgan": {"width": 8, "latent_dim": 3, "attention": True},
    "cgan": {"network": "mlp", "hidden": (16,), "latent_dim": 3},
}
# one that is not listed is tested as it is by default, which takes longer
SMALL = {name: _SMALL.get(name, {}) for name in registry.trainable()}


# what else a setting makes of a model: name -> the model, and settings beside its small ones
VARIANTS = {
    "vae of black and white": ("vae", {"likelihood": "bernoulli"}),
    "vae with a flow as prior": (
        "vae",
        {"prior": "flow", "num_prior_flows": 2, "prior_hidden": (8,)},
    ),
    "cvae with VampPrior": ("cvae", {"prior": "vamp", "num_prior_components": 4}),
    "iwae doubly reparameterized": ("iwae", {"gradient": "doubly_reparameterized"}),
    "gmm_vae with VampPrior": ("gmm_vae", {"prior": "vamp", "mixture_weights": "equal"}),
    "categorical_vae straight through": ("categorical_vae", {"straight_through": True}),
    "hierarchical_vae of grids": (
        "hierarchical_vae",
        {
            "network": "conv",
            "width": 4,
            "levels_per_grid": 1,
            "level_channels": 2,
            "likelihood": "logistic_mixture",
            "num_components": 2,
        },
    ),
    "hierarchical_vae bottom up": (
        "hierarchical_vae",
        {"inference": "bottom_up", "num_samples": 2, "likelihood": "bernoulli"},
    ),
    "vqvae of black and white": ("vqvae", {"likelihood": "bernoulli"}),
    "vqvae with a transformer": ("vqvae", {"prior": "transformer"}),
    "vqvae with maskgit": ("vqvae", {"prior": "maskgit"}),
    "pixelcnn of logistics": ("pixelcnn", {"output": "logistic_mixture", "num_components": 2}),
    "pixelcnn of black and white": ("pixelcnn", {"output": "bernoulli"}),
    "pixelcnn given labels": ("pixelcnn", {"conditional": True}),
    "pixelcnn of one-hots": ("pixelcnn", {"pixels": "one_hot"}),
    "pixelrnn without labels": ("pixelrnn", {"conditional": False}),
    "realnvp of convolutions": ("realnvp", {"network": "conv", "width": 4}),
    "realnvp of uniform noise": ("realnvp", {"dequantization": "uniform"}),
    "flow_matching without labels": ("flow_matching", {"conditional": False, "sampler": "euler"}),
    "flow_matching of perceptrons": ("flow_matching", {"network": "mlp", "hidden": (16,)}),
    "latent_diffusion of a vae": ("latent_diffusion", {"autoencoder": "vae", "hidden": (8,)}),
    "gan of convolutions": ("gan", {"network": "conv", "width": 4, "ema_decay": 0.9}),
    "gan punished and augmented": ("gan", {"penalty": "r1", "augment": "diffaugment"}),
    "wgan_gp clipped": ("wgan_gp", {"penalty": "none", "weight_clip": 0.01}),
    "wgan_gp of convolutions": ("wgan_gp", {"network": "conv", "width": 4}),
    "bigan of convolutions": ("bigan", {"network": "conv", "width": 4}),
    "bigan punished": ("bigan", {"loss": "wasserstein", "penalty": "gradient"}),
    "sngan with attention": ("sngan", {"attention": True}),
    "projection_cgan of residual blocks": ("projection_cgan", {"residual": True}),
    "infogan of convolutions": ("infogan", {"network": "conv", "width": 4}),
}
# of these the difference is in a loss or a gradient: what they export is their base model's graph
ONLY_IN_TRAINING = {
    "iwae doubly reparameterized",
    "categorical_vae straight through",
    "gan punished and augmented",
    "wgan_gp clipped",
    "bigan punished",
}


def small(name):
    """The registered name and the settings of a model of SMALL or of VARIANTS."""
    model, more = VARIANTS.get(name, (name, {}))
    return model, {**SMALL[model], **more}


@functools.cache
def autoencoder(name, shape, change=None):
    """A folder with the model of SMALL of that name, of images of that shape, untrained.

    `change` is what happens to the model before.
    """
    import zoo
    from zoo.hub import checkpoints, folders, pretrained

    folder = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    model = zoo.create(name, shape, seed=0, **SMALL[name])
    if change:
        change(model)
    settings = pretrained.entry(name)["settings"]
    config = {**settings["config"], **model.get_config()}
    config = {key: config[key] for key in settings["config"]}
    settings = {**settings, "config": config, "image_shape": list(shape)}
    content = folders.content_of(checkpoints.weights_of(model), name)
    folders.write(folder / name, settings, {"command": "none"}, content, None)
    return str(folder / name)


def of_shape(name, shape):
    """`small`, with the trained models that it is given, of images of that shape."""
    model, settings = small(name)
    if model == "latent_diffusion":
        kind = settings.get("autoencoder", "vqvae")
        settings = {**settings, "autoencoder": autoencoder(kind, shape)}
    return model, settings
