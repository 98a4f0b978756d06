"""How a script ends, and what it says."""

import subprocess
import sys

import pytest

CODE = """
import sys
from zoo.commands import cli
from zoo.errors import InputError

def main(argv):
    print("started")
    {body}

cli.run(main)
"""


def ends(body, *flags):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(body=body), *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("body", "expected", "said"),
    [
        ("pass", 0, ""),
        ("return 3", 3, ""),
        ("raise InputError('x is wrong')", 2, "error: x is wrong\n"),
        ("import os; os.kill(os.getpid(), 2)", 130, "\nstopped\n"),
        ("import os; os.kill(os.getpid(), 15)", 143, "\nstopped\n"),
        ("open('/does/not/exist')", 2, "error: No such file or directory: /does/not/exist\n"),
        ("raise OSError(5, 'x', 'y')", 1, "error: Input/output error: y\n"),
        ("raise RuntimeError('z; No space left on device')", 1, "error: No space left on device\n"),
        ("raise MemoryError", 1, "error: this takes more memory than there is: ask for less\n"),
    ],
)
def test_exit_codes_and_one_clear_line(body, expected, said):
    code, out, err = ends(body)
    assert (code, out, err) == (expected, "started\n", said)


def test_our_own_bugs_keep_their_traceback():
    code, _, err = ends("1 / 0")
    assert code == 1 and "Traceback" in err and "ZeroDivisionError" in err


def test_a_stray_word_and_a_wrong_flag():
    code, out, err = ends("pass", "word")
    assert (code, out) == (2, "")
    assert err == "error: Unexpected argument 'word'. Pass settings as --name=value.\n"
    code, out, err = ends("pass", "--nonsense=1")
    assert code == 1 and "Unknown command line flag" in out + err and "started" not in out


@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_asking_for_help_is_no_failure(flag):
    code, out, err = ends("pass", flag)
    assert code == 0 and "flags" in out and "started" not in out


@pytest.mark.parametrize(("flags", "level"), [((), -1), (("--verbosity=1",), 1)])
def test_absl_is_quiet_unless_asked(flags, level):
    code, out, _ = ends("from absl import logging; print(logging.get_verbosity())", *flags)
    assert code == 0 and out == f"started\n{level}\n"


@pytest.mark.parametrize("script", ["sample", "evaluate", "export", "studies/publish"])
def test_settings_of_composed_models_are_flags_of_every_script_that_takes_them(run, script):
    for model, flag in (("bayes_conditional", "--p_x"), ("bayes_classifier", "--p_x_given_y")):
        code, out, err = run(script, f"--model={model}", "--help")
        assert code == 0 and flag in out and "Traceback" not in err


def test_names_that_are_not_utf8_can_be_said():
    code, out, err = ends(r"print('caf\udce9')")
    assert (code, err) == (0, "") and out.endswith("caf\\udce9\n")


ZOO = "from zoo.commands import main; main()"


def test_zoo_names_its_commands_and_refuses_others(run_python):
    for word in ("--help", "help"):
        out = run_python(ZOO, word)
        assert all(f"  {name} " in out for name in ("train", "sample", "evaluate", "export"))
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "trian"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no command 'trian'" in done.stderr and "train" in done.stderr


def test_zoo_train_is_the_script(run_python, run):
    words = ("--help", "--model=gan")
    of_zoo = run_python(HELP, "zoo", "train", *words)
    _, of_script, _ = run("train", *words)
    assert of_zoo == of_script.replace(_module(of_script), "zoo train")
    assert "--learning_rate" in of_zoo and of_zoo.startswith("Trains a model")


HELP = """
import sys
sys.argv = sys.argv[1:]
from zoo.commands import main
try:
    main()
except SystemExit as e:
    assert e.code == 0
"""


def _module(text):
    """Under which name absl lists the flags."""
    return text.split("flags:\n\n")[1].split(":\n")[0]


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "--pretrained=hf://user"),
        ("sample", "--model=bayes_conditional", "--p_x=hf://user"),
        ("train", "--model=gan", "--init_from=hf://user", "--steps_per_epoch=1"),
        ("train", "--model=gan", "--classifier=hf://user", "--steps_per_epoch=1"),
        ("evaluate", "--pretrained=cgan", "--classifier=hf://user"),
    ],
)
def test_an_address_of_the_hub_is_taken_where_a_model_is_asked_for(run, tmp_path, words):
    code, _, err = run(*words, cwd=tmp_path)
    assert code == 2 and "is not like hf://USER/NAME" in err
    assert [line for line in err.splitlines() if "Traceback" in line] == []


def test_an_address_of_the_hub_is_no_folder(run, tmp_path):
    code, _, err = run("train", "--model=gan", "--data_dir=hf://user/name", cwd=tmp_path)
    assert code == 2 and "is an address: give a path of this machine" in err
