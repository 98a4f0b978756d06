"""Whatever is given for a flag of a script, it is taken or refused; nothing is a traceback."""

import collections
import contextlib
import io
import pathlib
import runpy
import signal
import string
import sys
import types

import pytest
from absl import flags
from absl.testing import flagsaver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo.training
from zoo import registry
from zoo.commands import cli
from zoo.core import config
from zoo.errors import InputError
from zoo.hub import references

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
STUDIES = SCRIPTS / "studies"
NAMES = sorted(
    path.stem
    for path in [*SCRIPTS.glob("*.py"), *STUDIES.glob("*.py")]
    if "__main__" in path.read_text(encoding="utf-8")
)
# numbers at the edges of what types hold, text that looks like something, and any text
VALUES = st.one_of(
    st.sampled_from(["", "0", "-1", "1", "nan", "inf", "1e400", "1" * 5000, "0x10", "1_0", "٣"]),
    st.sampled_from(["true", "no", ",", "1,2", "1,,2", "0:+1,2:-3", "3:", "a=b", "--x", "~", "/"]),
    st.sampled_from(["vae", "cgan", "mlp", "conv", "none", "folder:", "folder:/x", "a\nb", "\x00"]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(string.printable + "ä٣漢\udce9", max_size=8),
)


@pytest.fixture(scope="module", params=NAMES)
def script(request):
    """A script's `main` and its parser, with its flags in absl's one set of flags."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    saved = flagsaver.save_flag_values()
    own = SCRIPTS / f"{request.param}.py"
    path, given = str(own if own.exists() else STUDIES / own.name), []
    sys.modules.pop(f"zoo.commands.{request.param}", None)  # that it makes its flags again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [path])
        patch.setattr(cli, "run", lambda *arguments: given.extend(arguments))
        # of what `main` of train.py calls, only that it is called
        run = types.SimpleNamespace(train=lambda *settings, asked: 0)
        patch.setitem(sys.modules, "zoo.training.loop", run)
        patch.setattr(zoo.training, "loop", run, raising=False)
        runpy.run_path(path, run_name="__main__")
        main, parser = (*given, cli._parse)[:2]
        yield request.param, main, parser
    flagsaver.restore_flag_values(saved)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def names_of(parser, *words):
    """The flags that a script has with these words on its command line."""
    before = flagsaver.save_flag_values()
    known = set(flags.FLAGS)
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        parser(["script", *words])
    names = [name for name in flags.FLAGS if flags.FLAGS[name].help and name not in ABSL]
    flagsaver.restore_flag_values(before)
    assert set(flags.FLAGS) == known
    return sorted(names)


ABSL = set(flags.FLAGS) | {"help", "helpshort", "helpfull", "helpxml", "?"}


def try_out(script, words):
    """Parses the words as the script does, and goes as far as one can without TensorFlow."""
    name, main, parser = script
    before = flagsaver.save_flag_values()
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            assert parser([f"{name}.py", *words]) == [f"{name}.py"]
            cli.given("out")
            if name == "train":
                assert main([f"{name}.py"]) == 0
            elif "pretrained" in flags.FLAGS and "--compare" not in " ".join(words):
                source = cli.source()
                if isinstance(source, references.Composed):
                    config.make(registry.config_class(source.model), source.config)
        return "taken"
    except InputError as e:
        assert "\n" not in str(e)
        return "refused"
    except SystemExit as e:
        assert e.code == 1
        return "refused"
    finally:
        flagsaver.restore_flag_values(before)


def check(script, examples):
    """Random values of random flags."""
    name, _, parser = script
    models = {"train": registry.trainable()}.get(name, [])
    if name in ("sample", "evaluate", "export", "publish"):
        models = [None, *registry.COMPOSED]
    flags_of = {m: names_of(parser, *([f"--model={m}"] if m else [])) for m in models or [None]}
    assert all(flags_of.values())
    seen = collections.Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def example(example):
        model = example.draw(st.sampled_from(sorted(flags_of, key=str)))
        names = st.lists(st.sampled_from(flags_of[model]), max_size=3, unique=True)
        words = [f"--{n}={example.draw(VALUES)}" for n in example.draw(names) if n != "model"]
        seen[try_out(script, [*([f"--model={model}"] if model else []), *words])] += 1

    example()
    texts = {"string", "comma separated list of strings"}  # whatever it says, it is one
    all_names = set().union(*flags_of.values())
    assert seen["refused"] or all(flags.FLAGS[n].flag_type() in texts for n in all_names)
    assert seen["taken"]


def test_values_are_taken_or_refused(script):
    check(script, 40)


@pytest.mark.slow
def test_thousands_of_values_are_taken_or_refused(script):
    check(script, 500)
