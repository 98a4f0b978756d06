"""Makes zoo/data/emoji/emoji.npz: python tools/make_emoji.py PACKAGE.

PACKAGE is the unpacked npm package emoji-datasource-google 16.0.0 (`npm pack
emoji-datasource-google@16.0.0`). Its pictures are those of Noto Emoji, 64x64 and partly
transparent: here they are on white. Skin tones and other variants are left out.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parents[1] / "zoo" / "data" / "emoji" / "emoji.npz"


def main(package: pathlib.Path) -> None:
    """Reads the package and writes the file."""
    categories = list(json.loads((package / "categories.json").read_text(encoding="utf-8")))
    emoji = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    # neighbors in the list are alike, and the last ones are the test split
    emoji.sort(key=lambda e: hashlib.sha256(e["unified"].encode()).digest())
    pictures = []
    for entry in emoji:
        with Image.open(package / "img" / "google" / "64" / entry["image"]) as file:
            picture = file.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        pictures.append(np.asarray(Image.alpha_composite(white, picture).convert("RGB")))
    OUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        OUT,
        images=np.stack(pictures),
        labels=np.array([categories.index(e["category"]) for e in emoji], np.int32),
        names=np.array([(e["name"] or e["short_name"]).lower() for e in emoji]),
        categories=np.array(categories),
    )
    print(f"{len(emoji)} pictures, SHA-256 {hashlib.sha256(OUT.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
