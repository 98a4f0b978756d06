"""Files that PyTorch wrote, in both of its formats, and what is none."""

import io
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from zoo.core import torch_files

# by PyTorch 2.13: {"turned": x.t(), "part": x[1:3, ::2], "whole": x, "count": 7, "half": ones(2)}
# of x = 0 .. 23 as [4, 6]; `half` in 16 bits, and the first three share their memory
FILES = pathlib.Path(__file__).parent / "torch_files"
X = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize("name", ["archive.pth", "stream.pth"])
def test_tensors_are_what_they_were(name):
    found = torch_files.read((FILES / name).read_bytes())
    expected = {"turned": X.T, "part": X[1:3, ::2], "whole": X}
    expected |= {"count": np.int64(7), "half": np.ones(2, np.float16)}
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def archive(content):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("x/data.pkl", content)
    return made.getvalue()


def test_what_is_more_than_tensors_is_refused():
    called = b"cos\nsystem\n(S'exit 1'\ntR."
    for content in (archive(called), called, pickle.dumps(print)):
        with pytest.raises(ValueError, match="is no part of a tensor"):
            torch_files.read(content)
    whole = (FILES / "stream.pth").read_bytes()
    for content in (
        b"",
        b"no file",
        whole[:-9],
        archive(b""),
        archive(b"N."),
        archive(pickle.dumps({"a": 1})),
    ):
        with pytest.raises(ValueError):
            torch_files.read(content)


def test_a_tensor_reaches_no_further_than_its_storage():
    content = (FILES / "archive.pth").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part[:-4] if name.endswith("data/0") else part)
    with pytest.raises(ValueError, match="turned reaches beyond its storage"):
        torch_files.read(made.getvalue())
