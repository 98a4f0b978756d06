"""What is read from outside: paths as people write them, and JSON that anybody may have edited."""

import json
import os
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples

from zoo.core import config, files, schemas
from zoo.errors import InputError, brief
from zoo.recipes import Run

SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~/runs/x", "HOME/runs/x"),
        ("folder:~/pictures", "folder:HOME/pictures"),
        ("~", "HOME"),
        ("./~/x", "./~/x"),  # a folder that is called so
        ("runs/~/x", "runs/~/x"),
        ("vae", "vae"),  # a name stays a name
        ("judge/", "judge/"),
        ("folder:a", "folder:a"),
        ("hf:~/set", "hf:HOME/set"),
        ("hf:/set", "hf:/set"),
        ("hf:user/name", "hf:user/name"),
        ("", ""),
        (pathlib.Path("~/x"), "HOME/x"),
        (b"~/caf\xe9", "HOME/caf\udce9"),
    ],
)
def test_a_tilde_is_the_home_folder_and_all_else_stays(text, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert files.expanded(text) == expected.replace("HOME", "/home/ada")
    assert files.local_path(text) == pathlib.Path(expected.replace("HOME", "/home/ada"))


@pytest.mark.parametrize(
    "text",
    [
        *("gs://bucket/run", "s3://b/x", "hdfs://h/x", "https://x.org/a", "file:///tmp/x"),
        *(
            "GS://b",
            "hf://user/set",
            "folder:gs://b/x",
            "az+x://b",
            pathlib.Path("gs://bucket/run"),
        ),
    ],
)
def test_an_address_is_refused(text):
    with pytest.raises(InputError, match="is an address") as error:
        files.local_path(text, "--workdir")
    assert "--workdir=" in str(error.value)
    if isinstance(text, str):
        with pytest.raises(InputError, match="data_dir=.* is an address"):
            config.make(Run, {"data_dir": text})
        if not text.startswith("hf:"):  # that may be a trained model
            with pytest.raises(InputError, match="init_from=.* is an address"):
                config.make(Run, {"init_from": text})


@pytest.mark.parametrize("text", [3, None, "a\0b", "~nobody-of-this-name/x"])
def test_what_can_be_no_path_is_refused(text):
    with pytest.raises(InputError):
        files.local_path(text)


def test_settings_that_are_paths_are_expanded_and_no_others(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    paths = ("dataset", "data_dir", "workdir", "init_from", "classifier")
    made = config.make(Run, dict.fromkeys(paths, "~/x"))
    assert {getattr(made, name) for name in paths} == {"/home/ada/x"}
    assert config.make(Run, {"dataset": "folder:~/x"}).dataset == "folder:/home/ada/x"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"a": 1', "cannot be read"),
        (b'{"a": 1, "a": 2}', "it has 'a' twice"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"a": ' * 100_000, "cannot be read"),
        (b"\xff\xff\xff", "cannot be read"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b"[]", "must be of type object, not \\[\\]"),
        (b"{}", "lacks a"),
        (b'{"a": "x"}', "a must be of type integer, not 'x'"),
        (b'{"a": 1.0}', "a must be of type integer, not 1.0"),
        (b'{"a": true}', "a must be of type integer, not True"),
        (b'{"a": ' + b"9" * 400 + b"}", "a number has 400 digits"),
        (b'{"a": NaN}', "a must be of type integer, not nan"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_json_that_is_not_what_it_must_be_is_one_line_that_names_file_and_key(
    tmp_path, content, said
):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        files.read_json(path, SCHEMA)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_json_of_other_editors_is_read(tmp_path):
    path = tmp_path / "x.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path.write_bytes('{"a": 1, "b": "\u00e9"}'.encode(encoding))
        assert files.read_json(path, SCHEMA) == {"a": 1, "b": "\u00e9"}


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nothing"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            files.read_json(tmp_path / name)


def test_what_is_of_another_kind_is_set_aside_and_kept(tmp_path, capsys):
    path = tmp_path / "logs"
    path.write_text("mine")
    files.set_aside(path, folder=True)
    files.set_aside(path, folder=True)  # nothing is there
    assert not path.exists() and (tmp_path / "logs.aside1").read_text() == "mine"
    path.symlink_to(tmp_path / "nowhere")
    files.set_aside(path, folder=True)
    assert not path.is_symlink() and (tmp_path / "logs.aside2").is_symlink()
    path.mkdir()
    files.set_aside(path, folder=True)
    assert path.is_dir()
    files.set_aside(path, folder=False)
    assert not path.exists() and (tmp_path / "logs.aside3").is_dir()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and "logs.aside1" in said[0] and "made again" in said[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
ALL = [v for k, v in vars(schemas).items() if k.isupper() and not k.startswith("_")]


@examples(30, 1500)
def test_any_value_is_what_a_schema_says_or_one_line(count):
    @settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @given(JSON)
    def check(value):
        assert brief(value)
        for schema in ALL:
            try:
                schemas.check(value, schema, "x.json")
            except InputError as e:
                assert "x.json" in str(e) and len(str(e)) < 1000

    check()


@examples(50, 3000)
def test_any_bytes_are_json_or_one_line(tmp_path, count):
    @settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode()))
    def check(content):
        (tmp_path / "x.json").write_bytes(content)
        try:
            files.read_json(tmp_path / "x.json")
        except InputError as e:
            assert "x.json" in str(e)

    check()


def test_a_schema_asks_for_no_key_that_it_does_not_know():
    for schema in ALL:
        assert set(schema.get("required", ())) <= set(schema.get("properties", ()))
