"""One picture from a file: what its pixels do not need decides nothing; damage is refused."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.data import images

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 8, 3), np.uint8)
GREY = RNG.integers(0, 256, (8, 8), np.uint8)


def encoded(image, form, **options):
    """The bytes of a picture (or array) in a format of Pillow's."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def chunk(kind, body, crc=None):
    """A chunk of a PNG; `crc` in place of the right one."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png(array, depth, color, *before, after=b"", rows=None):
    """A PNG of an array [H, W] or [H, W, C] as its bits are stored, with chunks before its data."""
    height, width = array.shape[:2]
    if rows is None:
        kind = ">u2" if depth == 16 else "u1"
        rows = [row.astype(kind).tobytes() for row in array]
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *before, chunk(b"IDAT", data), after, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def segment(marker, body, length=None):
    """A segment of a JPEG."""
    length = len(body) + 2 if length is None else length
    return bytes([0xFF, marker]) + struct.pack(">H", length) + body


@pytest.fixture
def decode(tmp_path):
    """Decodes bytes as a file of any name: `decode(content, mode="RGB", image_size=None)`."""

    def decode(content, mode="RGB", image_size=None):
        path = tmp_path / "x.png"
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # which a user would see
            images.header(path)
            return images.decode(path, mode, image_size)

    return decode


LONG = zlib.compress(b"f" * 3_000_000, 1)  # Pillow refuses texts of more than 1 MB
ODD_CHUNKS = {
    "a wrong checksum": chunk(b"tEXt", b"Title\0x", crc=1),
    "a private one with a wrong checksum": chunk(b"prVt", b"x", crc=1),
    "a text that inflates to 3 MB": chunk(b"zTXt", b"Title\0\0" + LONG),
    "an orientation that inflates to 3 MB": chunk(b"zTXt", b"Raw profile type exif\0\0" + LONG),
    "an unknown compression": chunk(b"zTXt", b"Title\0\7x"),
    "a broken color profile": chunk(b"iCCP", b"name\0\0" + b"not zlib"),
    "a color profile that inflates to 3 MB": chunk(b"iCCP", b"name\0\0" + LONG),
    "a short resolution": chunk(b"pHYs", b"\0"),
    "a short gamma": chunk(b"gAMA", b""),
    "short chromaticities": chunk(b"cHRM", b"\0\0"),
    "a short rendering intent": chunk(b"sRGB", b""),
    "an international text without its parts": chunk(b"iTXt", b"XML:com.adobe.xmp"),
    "EXIF of junk": chunk(b"eXIf", b"junk"),
    "EXIF of nothing": chunk(b"eXIf", b""),
    "an animation of no frames": chunk(b"acTL", struct.pack(">II", 0, 0)),
    "a palette that no pixel refers to": chunk(b"PLTE", b"12345", crc=1),
    "half a frame of an animation": chunk(b"fcTL", b"\0\0"),
}


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("case", ODD_CHUNKS)
def test_no_chunk_beside_the_pixels_decides(decode, case, where):
    odd = ODD_CHUNKS[case]
    content = png(PIXELS, 8, 2, odd) if where == "before" else png(PIXELS, 8, 2, after=odd)
    np.testing.assert_array_equal(decode(content), PIXELS)


def test_what_comes_after_the_pixels_of_a_png_may_be_missing(decode):
    whole = png(PIXELS, 8, 2, after=chunk(b"tEXt", b"Title\0" + bytes(100)))
    for content in (whole[:-50], whole[:-1] + b"x"):  # a wrong checksum of its end
        np.testing.assert_array_equal(decode(content), PIXELS)


JPEG = encoded(Image.fromarray(PIXELS), "JPEG", quality=90)
ODD_SEGMENTS = {
    "an MPF block of junk": segment(0xE2, b"MPF\0junk"),
    "an MPF block that claims ten pictures": segment(
        0xE2,
        b"MPF\0II*\0\x08\0\0\0"
        + struct.pack("<H", 2)
        + struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
        + struct.pack("<HHII", 0xB001, 4, 1, 10)
        + bytes(4),
    ),
    "a color profile of no number": segment(0xE2, b"ICC_PROFILE\0"),
    "a color profile of missing parts": segment(0xE2, b"ICC_PROFILE\0\2\5junk"),
    "half a Photoshop block": segment(0xED, b"Photoshop 3.0\0008BIM\3\xed"),
    "a Photoshop block without an end": segment(0xED, b"Photoshop 3.0\0008BIM"),
    "a short Adobe segment": segment(0xEE, b"Adobe"),
    "a short JFIF segment": segment(0xE0, b"JFIF\0"),
    "EXIF of junk": segment(0xE1, b"Exif\0\0junk"),
    "EXIF of nothing": segment(0xE1, b"Exif\0\0"),
    "EXIF that points out of itself": segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    "XMP of junk": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    "an empty segment": segment(0xE5, b""),
    "a segment of an impossible length": segment(0xE6, b"", length=0),
    "an empty comment": segment(0xFE, b""),
    "bytes between two segments": segment(0xE5, b"") + b"\0\x01\x02",
}


@pytest.mark.parametrize("case", ODD_SEGMENTS)
def test_no_segment_beside_the_pixels_decides(decode, case):
    content = JPEG[:2] + ODD_SEGMENTS[case] + JPEG[2:]
    np.testing.assert_array_equal(decode(content), np.asarray(Image.open(io.BytesIO(JPEG))))


WEBP = encoded(Image.fromarray(PIXELS), "WEBP", lossless=True, exif=b"Exif\0\0junk")


def riff(kind, body):
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize(
    "content",
    [
        WEBP,
        WEBP + riff(b"XMP ", b"\xff"),  # more than the size of the whole tells
        WEBP[:-5],  # in its EXIF
        WEBP[:4] + b"\xff\xff\xff\x7f" + WEBP[8:],  # a size that is not the file's
        WEBP[:30] + riff(b"ICCP", b"junk") + WEBP[30:],
    ],
)
def test_no_part_of_a_webp_beside_the_pixels_decides(decode, content):
    np.testing.assert_array_equal(decode(content), PIXELS)


def exif(orientation, *, order="<", kind=3):
    """EXIF with one tag."""
    form = {3: "H2x", 4: "I"}[kind]
    tag = struct.pack(f"{order}HHI{form}", 0x0112, kind, 1, orientation)
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + start + struct.pack(f"{order}H", 1) + tag + bytes(4)


TURNED = {  # as the standard says where row 0 and column 0 are
    1: GREY,
    2: GREY[:, ::-1],
    3: GREY[::-1, ::-1],
    4: GREY[::-1],
    5: GREY.T,
    6: np.rot90(GREY, -1),
    7: GREY[::-1, ::-1].T,
    8: np.rot90(GREY),
    9: GREY,
    0: GREY,
}


@pytest.mark.parametrize("orientation", TURNED)
def test_pictures_are_upright_as_exif_says(decode, orientation):
    for options in ({}, {"order": ">"}, {"kind": 4}):
        tag = exif(orientation, **options)
        content = png(GREY, 8, 0, chunk(b"eXIf", tag[6:]))
        np.testing.assert_array_equal(decode(content, "L"), TURNED[orientation])
    webp = encoded(GREY, "WEBP", lossless=True, exif=tag)
    np.testing.assert_array_equal(decode(webp, "L"), TURNED[orientation])
    start, jpeg = segment(0xE1, tag), encoded(GREY, "JPEG", quality=100)
    turned = decode(jpeg[:2] + start + jpeg[2:], "L").astype(int)
    assert abs(turned - TURNED[orientation]).max() < 8


def test_xmp_tells_the_orientation_where_exif_does_not(decode):
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    turned = np.rot90(GREY, -1)
    name = b"XML:com.adobe.xmp\0"
    for odd in (
        chunk(b"iTXt", name + b"\0\0\0\0" + xmp),
        chunk(b"iTXt", name + b"\1\0en\0name\0" + zlib.compress(xmp)),
    ):
        np.testing.assert_array_equal(decode(png(GREY, 8, 0, odd), "L"), turned)
        both = png(GREY, 8, 0, odd, chunk(b"eXIf", exif(1)[6:]))
        np.testing.assert_array_equal(decode(both, "L"), GREY)
    webp = encoded(GREY, "WEBP", lossless=True, xmp=xmp)
    np.testing.assert_array_equal(decode(webp, "L"), turned)


LEVELS = RNG.integers(0, 65536, (8, 8)).astype(np.uint16)
IN_8_BITS = np.round(LEVELS / 257).astype(np.uint8)
THREE = np.stack([LEVELS, LEVELS.T, LEVELS[::-1]], -1)


def test_pictures_of_16_bits_are_scaled_and_not_clipped(decode):
    np.testing.assert_array_equal(decode(png(LEVELS, 16, 0), "L"), IN_8_BITS)
    opaque = np.full((8, 8), 65535, np.uint16)
    gray_alpha = png(np.stack([LEVELS, opaque], -1), 16, 4)
    np.testing.assert_array_equal(decode(gray_alpha, "L"), LEVELS >> 8)
    np.testing.assert_array_equal(decode(png(THREE, 16, 2)), THREE >> 8)
    rgba = png(np.concatenate([THREE, opaque[..., None]], -1), 16, 6)
    np.testing.assert_array_equal(decode(rgba), THREE >> 8)
    clear = png(np.concatenate([THREE, 0 * opaque[..., None]], -1), 16, 6)
    np.testing.assert_array_equal(decode(clear), np.full((8, 8, 3), 255))


def test_a_transparent_level_is_white_whatever_the_depth(decode):
    level = struct.pack(">H", LEVELS[2, 3])
    expected = np.where(LEVELS == LEVELS[2, 3], 255, IN_8_BITS)
    np.testing.assert_array_equal(decode(png(LEVELS, 16, 0, chunk(b"tRNS", level)), "L"), expected)
    color = struct.pack(">HHH", *THREE[2, 3])
    white = (THREE == THREE[2, 3]).all(-1, keepdims=True)
    expected = np.where(white, 255, THREE >> 8)
    np.testing.assert_array_equal(decode(png(THREE, 16, 2, chunk(b"tRNS", color))), expected)
    for depth in (1, 2, 4, 8):
        levels = RNG.integers(0, 2**depth, (8, 8))
        bits = (levels[..., None] >> np.arange(depth)[::-1]) & 1
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
        content = png(levels, depth, 0, chunk(b"tRNS", struct.pack(">H", 1)), rows=rows)
        expected = np.where(levels == 1, 255, levels * 255 // (2**depth - 1))
        np.testing.assert_array_equal(decode(content, "L"), expected)


def broken_png(position, value):
    content = bytearray(png(PIXELS, 8, 2))
    content[position] ^= value
    return bytes(content)


def bmp(width, height, bits=24):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def webp(kind, body):
    return b"RIFF" + struct.pack("<I", 4 + len(riff(kind, body))) + b"WEBP" + riff(kind, body)


def sized_jpeg(width, height, marker=0xC0):
    at = JPEG.index(b"\xff\xc0")
    size = struct.pack(">HH", height, width)
    return JPEG[:at] + bytes([0xFF, marker]) + JPEG[at + 2 : at + 5] + size + JPEG[at + 9 :]


BIG = 60_000
REFUSED = {
    "nothing": (b"", "empty"),
    "a page": (b"<html>404</html>", "not a PNG, JPEG, WebP or BMP"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "not a PNG"),
    "TIFF": (encoded(PIXELS, "TIFF"), "not a PNG"),
    "GIF": (encoded(GREY, "GIF"), "not a PNG"),
    "PPM": (encoded(PIXELS, "PPM"), "not a PNG"),
    "a PNG without its end": (png(PIXELS, 8, 2)[:60], "."),
    "a PNG with another byte in its data": (broken_png(60, 4), "the checksum of its IDAT chunk"),
    "a PNG with another byte in its header": (broken_png(19, 1), "."),
    "half a JPEG": (encoded(np.tile(PIXELS, (8, 8, 1)), "JPEG")[:-400], "truncated"),
    "a JPEG of its first bytes": (JPEG[:10], "."),
    "half a WebP": (encoded(np.tile(PIXELS, (8, 8, 1)), "WEBP", lossless=True)[:200], "."),
    "half a BMP": (encoded(np.tile(PIXELS, (8, 8, 1)), "BMP")[:-400], "cannot hold as many"),
    "a PNG bomb": (
        png(np.zeros((BIG, 1), bool), 8, 2, rows=[]).replace(
            struct.pack(">II", 1, BIG), struct.pack(">II", BIG, BIG)
        ),
        f"{BIG}x{BIG} pixels",
    ),
    "a smaller PNG bomb": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5000, 5000, 16, 6, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000))),
        "5000x5000 pixels",
    ),
    "a JPEG bomb": (sized_jpeg(65500, 65500), "65500x65500 pixels"),
    "a smaller JPEG bomb": (sized_jpeg(5000, 5000, 0xC2), "5000x5000 pixels"),
    "a BMP bomb": (bmp(BIG, BIG), f"{BIG}x{BIG} pixels"),
    "a smaller BMP bomb": (bmp(5000, 5000), "5000x5000 pixels"),
    "a BMP of negative size": (bmp(-5, 5), "."),
    "a lossy WebP bomb": (
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383) + bytes(20)),
        "16383x16383 pixels",
    ),
    "a lossless WebP bomb": (
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(20)),
        "16383x16383 pixels",
    ),
    "a WebP canvas bomb": (
        webp(b"VP8X", bytes(4) + (16_000_000).to_bytes(3, "little") * 2),
        "16000001x16000001 pixels",
    ),
    "a smaller WebP bomb": (
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 8000, 8000) + bytes(20)),
        "8000x8000 pixels",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused(decode, case):
    content, message = REFUSED[case]
    with pytest.raises(images.Unreadable, match=message) as error:
        decode(content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("case", [case for case in REFUSED if case.endswith("bomb")])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch, case):
    def decoded(*arguments):
        raise AssertionError("a decoder was given the file")

    monkeypatch.setattr(Image.core, "new", decoded)
    monkeypatch.setattr(Image.core, "fill", decoded)
    monkeypatch.setattr(images, "_open", decoded)
    (tmp_path / "x.png").write_bytes(REFUSED[case][0])
    for read in (images.header, lambda path: images.decode(path, "RGB", 8)):
        with pytest.raises(images.Unreadable, match="pixels"):
            read(tmp_path / "x.png")


def test_no_program_is_started(decode, monkeypatch):
    def start(*arguments, **options):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", start)
    monkeypatch.setattr(os, "system", start)
    with pytest.raises(images.Unreadable):
        decode(encoded(PIXELS, "EPS"))


def test_of_several_pictures_the_first_is_read(decode):
    others = [Image.fromarray(255 - PIXELS)] * 2
    first = np.asarray(Image.open(io.BytesIO(encoded(PIXELS, "JPEG"))))
    whole = encoded(PIXELS, "MPO", save_all=True, append_images=others)
    np.testing.assert_array_equal(decode(whole), first)
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        whole = encoded(PIXELS, form, save_all=True, append_images=others, **options)
        np.testing.assert_array_equal(decode(whole), PIXELS)
    # the others may be damaged
    np.testing.assert_array_equal(decode(whole[:-20]), PIXELS)


def test_bmp_and_webp_are_read(decode):
    unpadded = encoded(PIXELS[:, :7], "BMP")[:-3]
    np.testing.assert_array_equal(decode(unpadded), PIXELS[:, :7])
    for array, mode in ((GREY, "L"), (PIXELS, "RGB")):
        np.testing.assert_array_equal(decode(encoded(array, "BMP"), mode), array)
        np.testing.assert_array_equal(decode(encoded(array, "WEBP", lossless=True), mode), array)
