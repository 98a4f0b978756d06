"""The 1,911 base emoji of Noto Emoji, in color, with ten categories as labels and their names.

They are 64x64 on white, and come in an order that is random and always the same, of which the last
200 are the test split. Many have a near twin, such as a man and a woman with one job, so that test
images are nearer to training images than those of a collection of photographs would be.
"""

import io
import pathlib

import numpy as np
from PIL import Image

from zoo.core import files
from zoo.errors import InputError

SIDE = 64  # as they are stored
USUAL_SIDE = 32
NUM_TEST = 200
FILE = pathlib.Path(__file__).parent / "emoji" / "emoji.npz"
SHA256 = "0aa979ff2ff6f0203033684456d1204465bdd4a31c07846418f47b02bd287708"


def read(image_size: int | None) -> tuple[list[np.ndarray], tuple[str, ...], list[np.ndarray]]:
    """All pictures, resized by Pillow's antialiased bicubic filter.

    Args:
      image_size: side of the pictures, at most 64; 32 when left out.

    Returns:
      Training images and labels, then test images and labels; the categories; and the names of the
      training and of the test pictures.

    Raises:
      InputError: the file is damaged, or pictures of this size are not to be had.
    """
    size = image_size or USUAL_SIDE
    if size > SIDE:
        raise InputError(f"image_size is {size}, and emoji have {SIDE} pixels a side at most")
    content = io.BytesIO(files.read_asset(FILE, SHA256))
    with np.load(content, allow_pickle=False) as file:
        images, labels, names = (file[name] for name in ("images", "labels", "names"))
        categories = tuple(file["categories"].tolist())
    if size != SIDE:
        resized = [
            Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC) for x in images
        ]
        images = np.stack([np.asarray(x) for x in resized])
    cut = len(images) - NUM_TEST
    arrays = [images[:cut], labels[:cut], images[cut:], labels[cut:]]
    return arrays, categories, [names[:cut], names[cut:]]
