"""The models of the zoo by name. To add one: a file in `zoo/models/` and a line here.

The line says where its class is, how it is trained, and which named settings it has.
"""

import ast
import dataclasses
import functools
import importlib
import importlib.abc
import importlib.util
import pathlib
import re
import sys
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from zoo.errors import InputError
from zoo.recipes import AdversarialRecipe, LikelihoodRecipe, Recipe, Run, TwoStageRecipe

_NONE: Mapping[str, Any] = types.MappingProxyType({})


class Model(NamedTuple):
    """Where the class of a model is, as "module:class", and how it is trained by default.

    Presets are named settings of its configuration and its recipe: name -> setting -> value.
    """

    location: str
    recipe: Recipe | None = None
    presets: Mapping[str, Mapping[str, Any]] = _NONE


def _own(location: str, recipe: Recipe | None = None, presets: Mapping[str, Any] = _NONE) -> Model:
    return Model(f"zoo.models.{location}", recipe, presets)


# where D's slope is bounded, great steps do no harm
_BOUNDED = AdversarialRecipe(learning_rate=1e-3, discriminator_learning_rate=1e-3, decay="cosine")
# A shared scale and more latents keep more of an image: after 8 epochs reconstructions of images
# for validation have FID 20, where they have 36 by default. A learned prior lies where the codes
# are: after 30 epochs samples have FID 15, and 74 by default.
_OF_VAES = {
    "samples": {
        "latent_dim": 64,
        "scale": "shared",
        "prior": "flow",
        "num_prior_flows": 16,
        "epochs": 30,
        "decay": "cosine",
        "average_decay": 0.999,
    },
    "likelihood": {"prior": "flow", "residual": True, "decay": "cosine", "epochs": 30},
    "fast": {"epochs": 3, "decay": "cosine"},
}
_OF_HIERARCHIES = {
    "fast": {"epochs": 3},
    "burda": {  # two stochastic layers (arXiv:1509.00519, section 5); of black and white pixels
        "network": "mlp",
        "latent_dim": 50,
        "inference": "bottom_up",
        "activation": "tanh",
        "likelihood": "bernoulli",
        "batch_size": 20,
        "warmup_steps": 0,
        "clip_norm": 0.0,
        "average_decay": 0.0,
    },
}
_DENOISING = LikelihoodRecipe(
    epochs=20, decay="cosine", warmup_steps=200, average_decay=0.999, monitor="val_fid"
)
_OF_DIFFUSION = {"likelihood": {"objective": "likelihood", "monitor": "val_bits_per_dim"}}
# recipes were measured on Fashion-MNIST, on two CPU cores
MODELS = {
    "classifier": _own("classifier:Classifier", LikelihoodRecipe(epochs=12, monitor="val_loss")),
    "vae": _own("vae:VAE", LikelihoodRecipe(epochs=15, monitor="val_loss"), _OF_VAES),
    "iwae": _own("iwae:IWAE", LikelihoodRecipe(epochs=12, monitor="val_loss"), _OF_VAES),
    "cvae": _own("cvae:CVAE", LikelihoodRecipe(epochs=15, monitor="val_loss"), _OF_VAES),
    "gmm_vae": _own("gmm_vae:GMMVAE", LikelihoodRecipe(epochs=15, monitor="val_loss")),
    "flow_vae": _own("flow_vae:FlowVAE", LikelihoodRecipe(epochs=15, monitor="val_loss"), _OF_VAES),
    "categorical_vae": _own(
        "categorical_vae:CategoricalVAE", LikelihoodRecipe(epochs=15, monitor="val_loss")
    ),
    "hierarchical_vae": _own(
        "hierarchical_vae:HierarchicalVAE",
        LikelihoodRecipe(
            epochs=20,
            decay="cosine",
            warmup_steps=200,
            clip_norm=1000.0,
            average_decay=0.999,
            monitor="val_loss",
        ),
        _OF_HIERARCHIES,
    ),
    "pixelcnn": _own(
        "pixelcnn:PixelCNN",
        LikelihoodRecipe(epochs=7, batch_size=32, decay="cosine", monitor="val_loss"),
    ),
    "pixelrnn": _own(
        "pixelrnn:PixelRNN",
        LikelihoodRecipe(epochs=4, batch_size=32, decay="cosine", monitor="val_loss"),
    ),
    "vqvae": _own(
        "vqvae:VQVAE", TwoStageRecipe(epochs=15, decay="cosine", monitor="val_bits_per_dim")
    ),
    "realnvp": _own(
        "realnvp:RealNVP",
        LikelihoodRecipe(
            epochs=20, decay="cosine", warmup_steps=200, average_decay=0.999, monitor="val_loss"
        ),
    ),
    "flow_matching": _own("flow_matching:FlowMatching", _DENOISING),
    "diffusion": _own("diffusion:Diffusion", _DENOISING, _OF_DIFFUSION),
    "mean_flow": _own("mean_flow:MeanFlow", _DENOISING),
    "latent_diffusion": _own("latent_diffusion:LatentDiffusion", _DENOISING),
    "bayes_conditional": _own("bayes_conditional:BayesConditional"),
    "bayes_classifier": _own("bayes_classifier:BayesClassifier"),
    "gan": _own("gan:GAN", AdversarialRecipe()),
    "dcgan": _own("dcgan:DCGAN", AdversarialRecipe()),
    "wgan_gp": _own(
        "wgan_gp:WGANGP", dataclasses.replace(_BOUNDED, beta_1=0.0, beta_2=0.9, epochs=28)
    ),
    "sngan": _own("sngan:SNGAN", _BOUNDED),
    "infogan": _own("infogan:InfoGAN", AdversarialRecipe()),
    "bigan": _own("bigan:BiGAN", AdversarialRecipe()),
    "cgan": _own("cgan:CGAN", AdversarialRecipe(discriminator_learning_rate=4e-4)),
    "acgan": _own(
        "acgan:ACGAN",
        AdversarialRecipe(epochs=20, discriminator_learning_rate=4e-4, decay="cosine"),
    ),
    "projection_cgan": _own("projection_cgan:ProjectionCGAN", _BOUNDED),
}

# made of trained parts, which their configurations name, and never trained themselves
COMPOSED = ("bayes_conditional", "bayes_classifier")


# what networks of the zoo are made of beside Keras' own, for files of a network alone
LAYERS = (
    "zoo.nn.layers:Dropout",
    "zoo.nn.layers:GatedCausalBlock",
    "zoo.nn.layers:SpectralNormalization",
    "zoo.nn.layers:ConditionalBatchNormalization",
    "zoo.nn.layers:ResidualBlock",
    "zoo.nn.layers:SelfAttention",
    "zoo.nn.layers:VectorQuantizer",
    "zoo.nn.transformer:TransformerBlock",
    "zoo.nn.transformer:CodeTransformer",
    "zoo.nn.u_net:FourierFeatures",
    "zoo.nn.u_net:ModulatedBlock",
    "zoo.models.pixelrnn:RowLSTM",
    "zoo.models.wgan_gp:Clip",
)


_CLASSES: dict[str, type] = {}  # that other packages have registered


def register(name: str, cls: type, recipe: Recipe | None = None) -> None:
    """Adds a model of another package; see `zoo.register`.

    Args:
      name: what it is asked for by.
      cls: its class.
      recipe: how it is trained; when left out, that of its family.

    Raises:
      InputError: something is wrong with the name, the class or its configuration.
    """
    from zoo.families.base import ImageModel

    if not (isinstance(cls, type) and issubclass(cls, ImageModel)):
        raise InputError(f"{name}: {cls!r} is no subclass of a family, such as LikelihoodModel")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise InputError(f"{name!r}: small letters, digits and _ make the name of a model")
    if name in MODELS and _CLASSES.get(name) is not cls:
        raise InputError(f"there is a model named {name} already")
    about = getattr(cls, "Config", None)
    if not (dataclasses.is_dataclass(about) and about.__dataclass_params__.frozen):
        raise InputError(f"{cls.__name__}.Config must be a dataclass with frozen=True")
    if recipe is None:
        adversarial = "discriminate" in cls.can
        recipe = AdversarialRecipe() if adversarial else LikelihoodRecipe(monitor="val_loss")
    taken = {f.name for part in (recipe, Run()) for f in dataclasses.fields(part)}
    taken.add("preset")
    for f in dataclasses.fields(about):
        if "help" not in f.metadata:
            raise InputError(
                f"{cls.__name__}.Config.{f.name} has no help text: write "
                f"{f.name} = zoo.core.config.field(DEFAULT, HELP)"
            )
        if f.name in taken:
            raise InputError(
                f"{cls.__name__}.Config.{f.name}: every run has a setting of that name; choose "
                "another"
            )
    MODELS[name] = Model(f"{cls.__module__}:{cls.__qualname__}", recipe)
    _CLASSES[name] = cls


def recipe(name: str) -> Recipe:
    """How a model is trained by default.

    Raises:
      InputError: no model has this name, or it is made of trained parts.
    """
    _location(name)
    if (found := MODELS[name].recipe) is None:
        reason = "is made of trained parts, and is not trained"
        raise InputError(f"{name} {reason if name in COMPOSED else 'has no recipe'}")
    return found


def presets(name: str) -> tuple[str, ...]:
    """Names of a model's presets."""
    _location(name)
    return tuple(MODELS[name].presets)


def preset(name: str, preset: str) -> dict[str, Any]:
    """The settings that a preset of a model changes: setting -> value; of "" none.

    Raises:
      InputError: no model has this name, or it has no such preset.
    """
    known = presets(name)
    if preset and preset not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise InputError(f"{name} has no preset {preset!r}; {has}")
    return dict(MODELS[name].presets[preset]) if preset else {}


def list_models() -> list[str]:
    """Names of all registered models."""
    return list(MODELS)


def trainable() -> list[str]:
    """Names of the models that `scripts/train.py` trains."""
    return [name for name in MODELS if name not in COMPOSED]


def _location(name: str) -> list[str]:
    if name not in MODELS:
        raise InputError(f"no model named {name!r}; the zoo has {', '.join(MODELS)}")
    return MODELS[name].location.split(":")


def model_class(name: str) -> type:
    """The model's class; imports TensorFlow.

    Raises:
      InputError: no model has this name.
    """
    module, cls = _location(name)
    return _CLASSES.get(name) or getattr(importlib.import_module(module), cls)


class _Class:
    """What Keras finds under the name of a class that is imported when it is needed."""

    def __init__(self, location: str):
        self.location = location

    def from_config(self, values: dict[str, Any]) -> Any:
        """The object that `get_config` of the class is of."""
        module, cls = self.location.split(":")
        return getattr(importlib.import_module(module), cls).from_config(values)


class _WhenKerasIsImported(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            tell_keras()

        spec.loader.exec_module = exec_module
        return spec


def tell_keras() -> None:
    """Lets Keras load files of the zoo's classes, once it is there, without importing them now."""
    if (keras := sys.modules.get("keras")) is None:
        sys.meta_path.insert(0, _WhenKerasIsImported())
        return
    known = keras.saving.get_custom_objects()
    for location in [*(model.location for model in MODELS.values()), *LAYERS]:
        known.setdefault(f"zoo>{location.partition(':')[2]}", _Class(location))


@functools.cache
def config_class(name: str) -> type:
    """The model's configuration dataclass, read from its file without importing TensorFlow.

    Only the imports of `dataclasses`, `typing`, `zoo.core.config`, `zoo.core.stages` and
    `zoo.errors` and the class `Config` itself are run, so that `--help` answers at once. A model
    that builds on another configuration (`class Config(vae.Config)` after `from zoo.models import
    vae`, or one of `zoo.families`) is followed into that file.

    Raises:
      InputError: no model has this name.
    """
    module, _ = _location(name)
    return _CLASSES[name].Config if name in _CLASSES else _read_config(module)


def _read_config(module: str) -> type | None:
    path = pathlib.Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    namespace = {"__name__": module}
    wanted = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module in ("zoo.models", "zoo.families"):
            for alias in node.names:
                other = type(
                    alias.name, (), {"Config": _read_config(f"{node.module}.{alias.name}")}
                )
                namespace[alias.asname or alias.name] = other
        elif isinstance(node, ast.Import) and node.names[0].name in ("dataclasses", "typing"):
            wanted.append(node)
        elif isinstance(node, ast.ImportFrom) and node.module in (
            "typing",
            "zoo.core.config",
            "zoo.core.stages",
            "zoo.errors",
        ):
            wanted.append(node)
        elif isinstance(node, ast.ClassDef) and node.name == "Config":
            wanted.append(node)
    exec(compile(ast.Module(wanted, []), str(path), "exec"), namespace)
    return namespace.get("Config")
