"""Installs the generative model zoo: `pip install -e .` (add `[test]` or `[cuda]`)."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent

HUB = ["huggingface_hub>=1,<3"]  # zoo.load("hf://..."), zoo.push
STUDIES = ["jinja2>=3.1,<4"]  # what makes RESULTS.md and the cards
TEST = [
    "hypothesis>=6.155,<7",  # random input
    *STUDIES,
    "pytest>=8,<9.2",  # pytest-xdist 3.8 loses its groups in 9.2
    "pytest-xdist>=3.6,<4",  # a process for each core
    "ruff>=0.12,<1",
    "scipy>=1.14,<2",  # independent oracles
    "setuptools>=69",  # builds the wheel
]

# whose weights and pictures are installed; others' are in a clone or fetched (zoo/hub/download.py)
BUNDLED = [
    "cgan",
    "classifier",
    "classifier_mnist",
    "cvae",
    "flow_matching",
    "flow_vae",
    "gmm_vae",
    "iwae",
    "pixelcnn",
    "pixelcnn_conditional",
    "pixelrnn",
    "vae",
    "vae_mnist",
    "vqvae",
]

setup(
    name="generative-zoo",
    version="0.1.0",
    description="Deep generative models on TensorFlow, Keras 3 and TensorFlow Probability.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="Generative Zoo contributors",
    keywords="generative models, VAE, GAN, PixelCNN, normalizing flows, TensorFlow, Keras",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["zoo", "zoo.*"]),
    entry_points={"console_scripts": ["zoo = zoo.commands:main"]},
    package_data={
        "zoo": [
            "py.typed",
            "pretrained/notes.json",
            *(f"pretrained/*/*.{kind}" for kind in ("json", "md")),
            *(f"pretrained/{name}/*" for name in BUNDLED),
        ],
        "zoo.data": ["emoji/*", "fashion_mnist/*"],
        "zoo.evaluation": ["efficientnet_lite0/*"],
    },
    install_requires=[
        "absl-py>=2.1,<3",
        "filelock>=3.16,<5",
        "jsonschema>=4.26,<5",  # what configurations and records must hold
        "keras>=3.15,<3.16",
        "numpy>=2,<3",
        "pillow>=11,<14",
        "safetensors>=0.5,<1",
        "scikit-learn>=1.6,<2",
        "tensorboard>=2.20,<3",
        "tensorflow>=2.21,<2.22",
        "tensorflow-probability[tf]>=0.25,<0.26",
    ],
    extras_require={
        "test": [*HUB, *TEST],
        "hub": HUB,
        "onnx": ["onnxruntime>=1.20,<2", "tf2onnx>=1.16.1,<2"],  # zoo export --format=onnx
        "litert": ["ai-edge-litert>=1.2,<3"],  # zoo export --format=litert
        "hf": ["datasets>=5.2,<6"],  # --dataset=hf:NAME
        "tfds": [  # --dataset=tfds:NAME
            "importlib_resources>=6",  # tensorflow-datasets imports it, and does not ask for it
            "tensorflow-datasets>=4.9.10,<5",
        ],
        "plots": ["matplotlib>=3.9,<4", *STUDIES],  # scripts/studies
        "docs": [  # the site: mkdocs build
            "latex2mathml>=3.78,<4",
            "mkdocs-material>=9.7,<10",
            "mkdocstrings[python]>=1,<2",
        ],
        "cuda": ["tensorflow[and-cuda]>=2.21,<2.22"],
    },
)
