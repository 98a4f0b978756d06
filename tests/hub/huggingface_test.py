"""Models go to the hub and come back, through a server that answers as the hub does."""

import base64
import hashlib
import http.server
import json
import pathlib
import re
import shutil
import threading

import numpy as np
import pytest

import zoo
from zoo import InputError
from zoo.core import files
from zoo.evaluation import records
from zoo.hub import folders, huggingface, loading, pretrained, references

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)")


class Hub(http.server.BaseHTTPRequestHandler):
    """Repositories in memory: what the library asks to make one, to fill it and to read it."""

    repositories, private, tokens = {}, {}, []

    def answer(self, code, content=b"", **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        self.tokens.append(self.headers.get("Authorization"))
        path = self.path.split("?")[0]
        if found := FILE.fullmatch(path):
            content = self.repositories.get(found[1], {}).get(found[3])
            if content is None:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self.answer(200, content, ETag=etag, X_Repo_Commit=COMMIT)
        user, name, *_ = path.removeprefix("/api/models/").split("/")
        repository = self.repositories.get(f"{user}/{name}")
        if repository is None:
            return self.answer(404, {"error": "no"}, X_Error_Code="RepoNotFound")
        if path.endswith("/revision/gone"):
            return self.answer(404, {"error": "no"}, X_Error_Code="RevisionNotFound")
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": k, "size": len(v), "oid": "0"}
                for k, v in repository.items()
            ]
            return self.answer(200, tree)
        siblings = [{"rfilename": k} for k in repository]
        about = {"id": f"{user}/{name}", "sha": COMMIT, "siblings": siblings, "tags": []}
        self.answer(200, about)

    do_HEAD = do_GET

    def do_POST(self):
        self.tokens.append(self.headers.get("Authorization"))
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked.get('organization') or 'user'}/{asked['name']}"
            self.private[name] = asked.get("private") or asked.get("visibility") == "private"
            self.repositories.setdefault(name, {})
            return self.answer(200, {"url": f"https://huggingface.co/{name}", "name": name})
        if "/preupload/" in self.path:
            names = [f["path"] for f in json.loads(content)["files"]]
            of = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            return self.answer(200, {"files": of})
        if "/commit/" in self.path:
            name = self.path.removeprefix("/api/models/").split("/commit/")[0]
            for line in map(json.loads, content.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.repositories[name][value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "deletedFile":
                    self.repositories[name].pop(value["path"], None)
            url = f"https://huggingface.co/{name}/commit/{COMMIT}"
            return self.answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})
        if self.path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        self.answer(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A server, and an empty cache."""
    from huggingface_hub import constants

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    for name, value in (
        ("ENDPOINT", address),
        ("HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"),
        ("HF_HUB_CACHE", str(tmp_path / "cache")),
        ("HF_HUB_DISABLE_XET", True),
    ):
        monkeypatch.setattr(constants, name, value)
    for name in ("repositories", "private"):
        monkeypatch.setattr(Hub, name, {})
    monkeypatch.setattr(Hub, "tokens", [])
    yield Hub
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, without_exports):
    """A run of little."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    place = tmp_path_factory.mktemp("home") / "secret" / "run"
    small = {"network": "mlp", "hidden": (8,), "latent_dim": 2, "batch_size": 8, "epochs": 1}
    with without_exports():
        zoo.train("vae", images, place, steps_per_epoch=1, **small)
    return place


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(trained, tmp_path / "home" / "secret" / "run")


def test_a_run_is_pushed_and_comes_back_the_same(hub, workdir, tmp_path):
    there = zoo.push(workdir, "user/mine", license="mit", token="hf_secret", private=True)
    assert there == "hf://user/mine" and hub.private == {"user/mine": True}
    assert "Bearer hf_secret" in hub.tokens
    model, same = zoo.load(workdir), zoo.load(there)
    for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.sample(3, seed=1), same.sample(3, seed=1))
    content = hub.repositories["user/mine"]
    assert set(content) >= {"config.json", "model.safetensors", "README.md", "samples.png"}
    card = content["README.md"].decode()
    assert card.startswith('---\nlicense: "mit"\n') and 'zoo.load("hf://user/mine")' in card
    for name in ("config.json", "README.md"):  # nothing of this machine
        assert b"secret" not in content[name] and str(tmp_path).encode() not in content[name]


def evaluated(workdir, model, **changes):
    """Puts an evaluation of a model into its workdir, as the command would from another place."""
    record = records.read_record(pretrained.FOLDER / "vae" / "record.json")
    net = {"name": f"workdir {workdir}/judge", "sha256": "ab", "resize": "none"}
    record |= {
        "weights_sha256": loading.weights_sha256(workdir, model),
        "dataset": f"folder:{workdir}/pictures",
        "command": f"python scripts/evaluate.py --workdir={workdir}",
        "features": net,
        **changes,
    }
    files.write_json(workdir / "evaluation.json", record)


def test_an_evaluation_goes_along_without_a_path_of_this_machine(hub, workdir, tmp_path):
    evaluated(workdir, zoo.load(workdir))
    zoo.push(workdir, "user/mine")
    content = hub.repositories["user/mine"]
    assert (
        "record.json" in content and b"FID, features: a classifier of these" in content["README.md"]
    )
    for name, said in content.items():
        assert str(tmp_path).encode() not in said and b"secret" not in said, name


def test_what_was_there_of_other_weights_goes(hub, workdir, capsys):
    evaluated(workdir, zoo.load(workdir))
    zoo.push(workdir, "user/mine")
    evaluated(workdir, zoo.load(workdir), weights_sha256="of other weights")
    zoo.push(workdir, "user/mine")
    assert "record.json" not in hub.repositories["user/mine"]
    assert "evaluation.json is of other weights, and is left out" in capsys.readouterr().err


def test_a_model_of_the_hub_can_be_pushed_to_another_place(hub, workdir):
    zoo.push(zoo.push(workdir, "user/mine"), "user/other")
    one, other = zoo.load("hf://user/mine"), zoo.load("hf://user/other")
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_was_fetched_is_loaded_without_the_server(hub, workdir):
    there = zoo.push(workdir, "user/mine")
    folder = huggingface.fetch(references.parse(there))
    hub.repositories.clear()
    assert zoo.load(folder).name == "vae"


def test_a_pretrained_model_is_pushed_with_its_evaluation(hub):
    zoo.push("classifier", "user/judge", license="apache-2.0")
    content = hub.repositories["user/judge"]
    assert '"accuracy"' in content["README.md"].decode() and "record.json" in content
    assert zoo.load("hf://user/judge@main").name == "classifier"


def test_a_changed_file_is_refused(hub, workdir):
    there = zoo.push(workdir, "user/mine")
    whole = hub.repositories["user/mine"]["model.safetensors"]
    hub.repositories["user/mine"]["model.safetensors"] = whole[:-1] + bytes([whole[-1] ^ 1])
    with pytest.raises(
        InputError, match="model.safetensors is not the file that config.json names"
    ):
        zoo.load(there)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://user/nothing", "there is no such repository, or you may not see it"),
        ("hf://user/mine@gone", "the repository has no such revision"),
        ("hf://user/empty", "is no model of the zoo: it lacks config.json or model.safetensors"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub, source, message):
    hub.repositories |= {"user/mine": {"config.json": b"{}"}, "user/empty": {"README.md": b"x"}}
    with pytest.raises(InputError, match=message) as error:
        zoo.load(source)
    assert "\n" not in str(error.value)


def test_nobody_answers(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="hf://user/mine: ") as error:
        zoo.load("hf://user/mine")
    assert "\n" not in str(error.value)


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for do in (lambda: zoo.load("hf://user/mine"), lambda: zoo.push("vae", "user/mine")):
        with pytest.raises(InputError, match=r"pip install 'huggingface_hub"):
            do()


@pytest.mark.parametrize("name", ["mine", "a/b/c", "", "user/mi ne"])
def test_a_name_that_is_no_repository_is_refused(name):
    with pytest.raises(InputError, match="is not like USER/NAME"):
        zoo.push("vae", name)


def test_what_is_made_of_others_is_not_pushed(hub):
    with pytest.raises(InputError, match="is made of other models: push its parts"):
        zoo.push("bayes_conditional", "user/mine")


def test_a_folder_as_a_hub_has_it_is_a_model(tmp_path):
    folder = pretrained.FOLDER / "classifier"
    one, other = zoo.load(folder), zoo.load("classifier")
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    settings = json.loads((folder / folders.CONFIG).read_text())
    files.write_json(tmp_path / folders.CONFIG, {**settings, "published": {"bytes": 3}})
    (tmp_path / folders.WEIGHTS).write_bytes(b"abc")
    with pytest.raises(InputError, match="config.json: published lacks sha256"):
        zoo.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 100])
def test_a_file_that_is_no_safetensors_is_one_line(tmp_path, content):
    settings = json.loads(
        pathlib.Path(zoo.__file__).parent.joinpath("pretrained/vae/config.json").read_text()
    )
    published = {"sha256": folders.sha256(content), "bytes": 3}
    files.write_json(tmp_path / folders.CONFIG, {**settings, "published": published})
    (tmp_path / folders.WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match="model.safetensors is no file of weights") as error:
        zoo.load(tmp_path)
    assert "\n" not in str(error.value)
