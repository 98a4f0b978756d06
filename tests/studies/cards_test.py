"""The pictures of cards and pages: each is drawn by a script, and large enough to be read."""

import pictures
import pytest
from PIL import Image

from zoo.hub import folders, pretrained

PAGES = "\n".join(path.read_text() for path in pictures.DOCS.glob("*.md"))


def test_each_picture_of_a_page_is_drawn_by_the_command_below_it():
    assert {path.stem for path in pictures.DOCS.glob("*.png")} == set(pictures.OF_PAGES)
    for name, (model, what, how) in pictures.OF_PAGES.items():
        settings = "".join(f" --{key}={value}" for key, value in how.items())
        assert f'src="{name}.png"' in PAGES
        assert f"`zoo sample --pretrained={model} --what={what}{settings}`" in PAGES


@pytest.mark.parametrize("name", pretrained.manifest())
def test_pictures_are_at_least_900_pixels_wide(name):
    folder = pretrained.FOLDER / name
    found = [folder / file for file in (folders.SAMPLES, folders.NEIGHBORS)]
    of_pages = [pictures.DOCS / f"{p}.png" for p, of in pictures.OF_PAGES.items() if of[0] == name]
    for path in (*found, *of_pages):
        if path.exists():
            with Image.open(path) as picture:
                assert picture.width >= 900, path
