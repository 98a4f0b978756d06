"""One picture of a PNG, JPEG, WebP or BMP file, or of bytes: upright, on white, 8 bits a channel.

Only what the pixels need is given to Pillow's decoder of the format. Texts, color profiles,
thumbnails, resolutions and the like are left out on the way, so that nothing in them can make a
picture unreadable. The orientation is looked for apart, and a damaged one means upright.
"""

import contextlib
import dataclasses
import io
import math
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp"}
FORMATS = "PNG, JPEG, WebP or BMP"
MAX_PIXELS = 178_956_970  # twice Image.MAX_IMAGE_PIXELS, where Pillow sees a decompression bomb
# where the pixels take so many bytes, a file that has less than one for so many pixels is a bomb as
# well: a blank JPEG is that small, and hardly a picture
_LARGE, _PIXELS_A_BYTE = 1 << 27, 256
_STEP = 1 << 20  # bytes copied at a time
_MAX_TEXT = 1 << 20
_TEXTS = ("XML:com.adobe.xmp", "Raw profile type exif")  # that may tell the orientation
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # channels of a PNG by its color type


Source = str | os.PathLike | bytes  # the path of a file, or what it holds


class Unreadable(Exception):
    """The picture in a file cannot be decoded; says why."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of its picture, before anything is decoded."""

    gray: bool
    size: tuple[int, int]  # (width, height), as it is stored


def header(source: Source) -> Header:
    """Reads no more than the beginning of a file.

    Args:
      source: the file's path, or what it holds.

    Raises:
      Unreadable: it is no picture of these formats, or claims more pixels than are read.
    """
    with _reading(source) as f:
        return _header(f)


def decode(
    source: Source,
    mode: str,
    image_size: int | None,
    fit: str = "crop",
    exactly: bool = False,
) -> np.ndarray:
    """The picture in a file.

    Args:
      source: the file's path, or what it holds.
      mode: `L` or `RGB`.
      image_size: side after it was made a square and resized; None leaves the size alone.
      fit: how it is made a square: `crop` its middle, or `pad` it with white.
      exactly: whether a JPEG is decoded in all of its pixels. Otherwise its decoder gives, where
        that is enough, a half, a quarter or an eighth of its sides, which takes far less time; they
        are still at least twice as long as those of the result.

    Returns:
      uint8 [H, W] or [H, W, 3].

    Raises:
      Unreadable: its pixels are damaged, or it is no picture of these formats.
    """
    with _reading(source) as f:
        claimed = _header(f)
        image, metadata = _open(f)
        if image.size != claimed.size:
            raise Unreadable("its headers contradict each other")
        if image_size is not None and not exactly and image.format == "JPEG":
            image.draft(None, (2 * image_size, 2 * image_size))
        image.load()
        if (turn := _UPRIGHT.get(_orientation(metadata))) is not None:
            image = image.transpose(turn)
        if image_size is not None and fit == "crop":
            # Whole pixels (ImageOps.fit would crop by halves, and blur).
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        if image.mode.startswith("I"):  # 16 bits: Pillow would clip, not scale
            levels, clear = np.asarray(image), image.info.get("transparency")
            gray = np.round(np.arange(1 << 16) / 257).astype(np.uint8)[levels]
            if clear is not None:
                gray[levels == clear] = 255
            image = Image.fromarray(gray)
        elif image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert(mode)
        if image_size is not None:
            if fit == "pad":
                image = _padded(image)
            image = image.resize((image_size,) * 2, Image.Resampling.BICUBIC)
        return np.asarray(image)


def _padded(image: Image.Image) -> Image.Image:
    """The picture in the middle of a white square."""
    side = max(image.size)
    square = Image.new(image.mode, (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


@contextlib.contextmanager
def _reading(source: Source) -> Iterator[BinaryIO]:
    """An open file; whatever is raised is Unreadable, and Pillow's warnings are not shown.

    Filters of warnings are those of the process: of several threads the main one sets them.
    """
    quiet = contextlib.nullcontext()
    if threading.current_thread() is threading.main_thread():
        quiet = warnings.catch_warnings(action="ignore")
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")
        with opened as f, quiet:
            yield f
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("takes more memory than there is") from None
    except Exception as e:  # a decoder raises whatever its bytes lead it to
        said = ""
        if isinstance(e, OSError | SyntaxError | ValueError):
            said = getattr(e, "strerror", None) or str(e)
        raise Unreadable(said.partition("\n")[0] or "damaged") from None


def _format(f: BinaryIO) -> str:
    f.seek(0)
    start = f.read(12)
    f.seek(0)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return "WebP"
    if start.startswith(b"BM"):
        return "BMP"
    raise Unreadable(f"not a {FORMATS} file" if start else "empty")


def _size(f: BinaryIO) -> int:
    """How many bytes a file has."""
    here = f.tell()
    size = f.seek(0, os.SEEK_END)
    f.seek(here)
    return size


def _header(f: BinaryIO) -> Header:
    kind, file_size = _format(f), _size(f)
    least = 0  # bytes below which a file cannot hold as many pixels
    if kind == "PNG":
        f.seek(8)
        length, name, width, height, depth, color = struct.unpack(">I4sIIBB", f.read(18))
        if name != b"IHDR" or length < 13:
            raise Unreadable("its header is damaged")
        gray, size = color in (0, 4), (width, height)
        row = 1 + math.ceil(width * depth * _CHANNELS.get(color, 1) / 8)
        least = row * height // 1040  # deflate makes at most 1,032 bytes of one
    elif kind == "JPEG":
        for marker, body in _segments(f):
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
                _, height, width, components = struct.unpack_from(">BHHB", body)
                gray, size = components == 1, (width, height)
                if marker <= 0xC7:  # Huffman codes: a block of 8x8 pixels takes a bit at least
                    least = width * height // 1024
                break
        else:
            raise Unreadable("its header is damaged")
    elif kind == "WebP":
        gray, size = False, _webp_size(f.read(30))
    else:
        image = BmpImagePlugin.BmpImageFile(f)
        gray, size = image.mode in ("1", "L"), image.size
        codec, _, offset, args = image.tile[0]
        if codec == "raw":
            least = offset + args[1] * (image.height - 1)
    pixels = math.prod(size)
    large = pixels * (1 if gray else 4) > _LARGE and pixels > _PIXELS_A_BYTE * file_size
    if pixels > MAX_PIXELS or large or not pixels:
        raise Unreadable(
            f"its header claims {size[0]}x{size[1]} pixels in {file_size:,} bytes: such a file is "
            "not read"
        )
    if least > file_size:
        raise Unreadable(
            f"its header claims {size[0]}x{size[1]} pixels, and {file_size:,} bytes cannot hold "
            "as many"
        )
    return Header(gray, size)


def _open(f: BinaryIO) -> tuple[ImageFile.ImageFile, dict]:
    """The picture, not decoded yet, and what may tell its orientation, as Pillow's `info`."""
    kind = _format(f)
    if kind == "BMP":
        return BmpImagePlugin.BmpImageFile(f), {}
    strip, decoder = _DECODERS[kind]
    stripped, metadata = io.BytesIO(), {}
    strip(f, stripped, metadata)
    stripped.seek(0)
    return decoder(stripped), metadata


def _orientation(metadata: dict) -> int:
    """The orientation that EXIF or else XMP tells, 1 to 8; 1, upright, where none can be read."""
    image = Image.Image()
    image.info = metadata
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever odd bytes lead Pillow to
        return 1


def _copy(f: BinaryIO, to: BinaryIO, count: int, crc: int = 0) -> int:
    """Copies so many bytes, or all that are left; their CRC."""
    while count > 0 and (part := f.read(min(count, _STEP))):
        to.write(part)
        crc = zlib.crc32(part, crc)
        count -= len(part)
    return crc


def _strip_png(f: BinaryIO, to: BinaryIO, metadata: dict) -> None:
    to.write(f.read(8))
    color = depth = None
    while len(start := f.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        begin = f.tell()
        if kind in (b"IHDR", b"IDAT") or (kind == b"PLTE" and color == 3):
            to.write(start)
            crc = _copy(f, to, length, zlib.crc32(kind))
            to.write(found := f.read(4))
            if len(found) == 4 and int.from_bytes(found) != crc:
                raise Unreadable(f"damaged: the checksum of its {kind.decode()} chunk is wrong")
            if kind == b"IHDR":
                f.seek(begin + 8)
                depth, color = f.read(2)
        elif kind == b"tRNS" and color in (0, 2, 3):
            body, crc = f.read(min(length, 256)), zlib.crc32(kind)
            f.seek(begin + length)
            if f.read(4) != zlib.crc32(body, crc).to_bytes(4):
                raise Unreadable("damaged: the checksum of its tRNS chunk is wrong")
            if color in (0, 2):  # a color, here of as many bits as Pillow gives the pixels
                levels = np.frombuffer(body[: len(body) // 2 * 2], ">u2").astype(int)
                if depth in (2, 4):
                    levels = levels * 255 // (2**depth - 1)
                elif color == 2 and depth == 16:
                    levels = levels >> 8
                body = levels.astype(">u2").tobytes()
            to.write(struct.pack(">I", len(body)) + kind + body)
            to.write(zlib.crc32(body, crc).to_bytes(4))
        elif kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt") and length <= _MAX_TEXT:
            with contextlib.suppress(ValueError, IndexError, zlib.error):
                metadata.update(_png_text(kind, f.read(length)))
        elif kind == b"IEND":
            break
        f.seek(begin + length + 4)
    to.write(struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND")))


def _png_text(kind: bytes, body: bytes) -> dict:
    if kind == b"eXIf":
        return {"exif": b"Exif\0\0" + body}
    name, _, text = body.partition(b"\0")
    if (name := name.decode("latin-1")) not in _TEXTS:
        return {}
    squeezed = kind == b"zTXt"
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":
        squeezed = text[0] != 0
        *_, text = text[2:].split(b"\0", 2)  # after the language and the translated name
    if squeezed:
        text = zlib.decompressobj().decompress(text, _MAX_TEXT)
    return {name: text.decode("latin-1")}


def _segments(f: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers of a JPEG with what follows each, up to its first scan, whose body is left unread."""
    f.seek(2)
    while byte := f.read(1):
        if byte != b"\xff":  # junk
            continue
        while (byte := f.read(1)) == b"\xff":
            pass
        marker = byte[0] if byte else 0
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:  # these have no body
            continue
        if marker == 0xD9:
            return
        if marker == 0xDA:
            yield marker, b""
            return
        length = int.from_bytes(f.read(2))
        if length >= 2:
            yield marker, f.read(length - 2)


def _strip_jpeg(f: BinaryIO, to: BinaryIO, metadata: dict) -> None:
    to.write(b"\xff\xd8")
    for marker, body in _segments(f):
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            metadata["exif"] = metadata.get("exif", b"Exif\0\0") + body[6:]
        elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            metadata["xmp"] = body
        # JFIF and Adobe say what the components mean
        jfif = marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12
        adobe = marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12
        if jfif or adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            to.write(b"\xff" + bytes([marker]))
            if marker == 0xDA:
                _copy(f, to, _size(f))
            else:
                to.write((len(body) + 2).to_bytes(2) + body)


def _webp_size(start: bytes) -> tuple[int, int]:
    kind = start[12:16]
    if kind == b"VP8X":
        return tuple(1 + int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
    if kind == b"VP8L" and start[20] == 0x2F:
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and start[23:26] == b"\x9d\x01\x2a":
        return tuple(v & 0x3FFF for v in struct.unpack("<HH", start[26:30]))
    raise Unreadable("its header is damaged")


def _strip_webp(f: BinaryIO, to: BinaryIO, metadata: dict) -> None:
    """Of an animation the first picture stays."""
    f.seek(12)
    to.write(b"RIFF\0\0\0\0WEBP")
    claimed, done = 4, False
    while len(start := f.read(8)) == 8:
        kind, length = struct.unpack("<4sI", start)
        begin, padded = f.tell(), length + length % 2
        if kind in (b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"VP8 ", b"VP8L") and not done:
            to.write(start)
            _copy(f, to, padded)
            claimed += 8 + padded
            done = kind in (b"ANMF", b"VP8 ", b"VP8L")
        elif kind in (b"EXIF", b"XMP ") and length <= _MAX_TEXT:
            metadata["exif" if kind == b"EXIF" else "xmp"] = f.read(length)
        f.seek(begin + padded)
    to.seek(4)
    to.write(claimed.to_bytes(4, "little"))


_DECODERS = {  # not by Image.open, which reads what is found in the file, as all pictures of an MPO
    "PNG": (_strip_png, PngImagePlugin.PngImageFile),
    "JPEG": (_strip_jpeg, JpegImagePlugin.JpegImageFile),
    "WebP": (_strip_webp, WebPImagePlugin.WebPImageFile),
}
