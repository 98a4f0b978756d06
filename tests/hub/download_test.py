"""Weights are fetched by their SHA-256, from servers that answer well and from all others."""

import hashlib
import http.server
import threading

import numpy as np
import pytest

from zoo import InputError
from zoo.hub import download, folders, pretrained

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as the test says; `asked` has the first byte of each request."""

    how, asked = "well", []

    def do_GET(self):
        first = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        self.asked.append(first)
        content = CONTENT
        if self.how == "missing" or not self.path.endswith("/x.npz"):
            return self.send_error(404)
        if self.how == "wrong":
            content = CONTENT[:-1] + b"?"
        if self.how == "longer":
            content = CONTENT + b"more"
        if self.how == "whole":  # it knows no ranges
            first = 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        rest = content[first:]
        self.wfile.write(rest[: len(rest) // 2] if self.how in ("short", "whole short") else rest)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv(download.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(download.URL, f"http://127.0.0.1:{running.server_port}/weights/")
    monkeypatch.setattr(Server, "asked", [])

    def answers(how):
        monkeypatch.setattr(Server, "how", how)
        return Server.asked

    yield answers
    running.shutdown()
    running.server_close()


def fetch():
    return download.path_of("x.npz", SHA256, len(CONTENT))


def left(tmp_path, kind):
    return list((tmp_path / "cache").glob(f"*.{kind}"))


def test_a_file_is_fetched_once(server, tmp_path):
    asked = server("well")
    assert fetch().read_bytes() == CONTENT and fetch().read_bytes() == CONTENT
    assert asked == [0] and not left(tmp_path, "part")


def test_a_download_that_breaks_off_is_continued(server, tmp_path):
    asked = server("short")
    with pytest.raises(InputError, match="bytes came. Try again: it is continued"):
        fetch()
    half = len(CONTENT) // 2
    assert asked == [0, half, half + half // 2]
    server("well")
    assert fetch().read_bytes() == CONTENT
    assert asked[-1] == len(CONTENT) * 7 // 8 and not left(tmp_path, "part")


def test_a_server_without_ranges_sends_the_whole_again(server, tmp_path):
    server("short")
    with pytest.raises(InputError):
        fetch()
    asked = server("whole")
    assert fetch().read_bytes() == CONTENT and asked[-1] > 0


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("wrong", "not the file of these weights: its SHA-256 is another"),
        ("longer", "not the file of these weights: it is longer"),
        ("missing", "cannot be fetched: 404"),
    ],
)
def test_another_file_is_refused_and_nothing_of_it_stays(server, tmp_path, how, message):
    server(how)
    with pytest.raises(InputError, match=message) as error:
        fetch()
    assert "\n" not in str(error.value)
    assert not left(tmp_path, "npz") and not left(tmp_path, "part")
    server("well")
    assert fetch().read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_fetched_anew(server):
    asked = server("well")
    path = fetch()
    path.write_bytes(CONTENT[:100])
    assert fetch().read_bytes() == CONTENT and asked == [0, 0]


def test_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setenv(download.CACHE, str(tmp_path))
    monkeypatch.setenv(download.URL, "http://127.0.0.1:9")
    with pytest.raises(InputError, match="cannot be fetched: .*refused"):
        fetch()
    monkeypatch.setenv(download.URL, "nonsense")
    with pytest.raises(InputError, match="cannot be fetched: unknown url type"):
        fetch()


def test_without_an_address_it_is_said_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv(download.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(download.URL, raising=False)
    known, home = pretrained.entry("sngan"), pretrained.FOLDER / "sngan"
    (tmp_path / "sngan").mkdir()
    (tmp_path / "sngan" / folders.CONFIG).write_bytes((home / folders.CONFIG).read_bytes())
    whole = pretrained.weights("sngan")
    content = (home / folders.WEIGHTS).read_bytes()
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(
        InputError, match=r"sngan/model.safetensors \(3.0 MB\) do not come with .* ZOO_WEIGHTS"
    ):
        pretrained.weights("sngan")
    assert not (tmp_path / "cache").exists()
    # from the cache, where another installation has fetched them
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{known['sha256']}-sngan-{folders.WEIGHTS}").write_bytes(content)
    found = pretrained.weights("sngan")
    assert found.keys() == whole.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, whole[name])
