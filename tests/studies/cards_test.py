"""The pictures of cards and pages: each is drawn by a script, and large enough to be read."""

import json
import pathlib

import pytest
from PIL import Image

from zoo.hub import folders, pretrained

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
DRAWN = json.loads((DOCS / "pictures.json").read_text())
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))


def test_each_picture_of_a_page_is_drawn_by_the_command_below_it():
    assert {path.stem for path in DOCS.glob("*.png")} == set(DRAWN)
    for name, how in DRAWN.items():
        settings = "".join(f" --{k}={v}" for k, v in how.items() if k != "model")
        assert f'/{name}.png"' in PAGES or f'"{name}.png"' in PAGES
        assert f"`zoo sample --pretrained={how['model']}{settings}`" in PAGES


@pytest.mark.parametrize("name", pretrained.manifest())
def test_pictures_are_at_least_900_pixels_wide(name):
    folder = pretrained.FOLDER / name
    found = [folder / file for file in (folders.SAMPLES, folders.NEIGHBORS)]
    found += [DOCS / f"{picture}.png" for picture, how in DRAWN.items() if how["model"] == name]
    for path in found:
        if path.exists():
            with Image.open(path) as picture:
                assert picture.width >= 900, path
