"""Command lines: typed absl flags made of dataclasses, and errors that are for people."""

import contextlib
import dataclasses
import errno
import os
import pathlib
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags, logging

from zoo import registry
from zoo.core import files, memory
from zoo.errors import InputError, no_space
from zoo.hub import pretrained, references

_HELP = {"?", "h", "help", "helpshort", "helpfull", "helpxml"}
_BAD_PATH = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
# flags that are paths, and those of fields that `define` adds
_PATHS = set("compare data_dir image logdir mask mnist_dir out weights workdir".split())
_REFERENCES = {"classifier"}  # which may be an address of the Hugging Face Hub
_DEFINE = {
    float: flags.DEFINE_float,
    int: flags.DEFINE_integer,
    bool: flags.DEFINE_bool,
    str: flags.DEFINE_string,
}


def define(config_class: type, default: Any = None, skip: Sequence[str] = ()) -> None:
    """Makes a flag of each field of a configuration dataclass, with its type, help and bounds.

    Args:
      config_class: the dataclass.
      default: an instance whose values are the flags' defaults; the class' own when left out.
      skip: fields that get no flag.
    """
    default = default or config_class()
    hints = typing.get_type_hints(config_class)
    for f in dataclasses.fields(config_class):
        if f.name in skip:
            continue
        value, hint, text = getattr(default, f.name), hints[f.name], f.metadata["help"]
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        where = {"module_name": sys.argv[0]}  # else --help would not list them
        if path := f.metadata.get("path"):
            (_REFERENCES if path == "reference" else _PATHS).add(f.name)
        if origin is typing.Literal:
            flags.DEFINE_enum(f.name, value, list(arguments), text, **where)
        elif origin is tuple:
            flags.DEFINE_list(f.name, [str(v) for v in value], text, **where)
            flags.register_validator(
                f.name, _numbers(arguments[0]), "must be positive numbers, separated by commas."
            )
        elif hint in (int, float):
            lower, upper = f.metadata["lower"], f.metadata["upper"]
            bounds = {"lower_bound": lower, "upper_bound": upper}
            _DEFINE[hint](f.name, value, text, **bounds, **where)
        else:
            _DEFINE[hint](f.name, value, text, **where)


def _numbers(kind: type) -> Callable[[list[str]], bool]:
    def valid(values):
        try:
            return all(kind(v) > 0 for v in values)
        except ValueError:
            return False

    return valid


def values(config_class: type) -> dict[str, Any]:
    """The values that were given for a dataclass' fields by flags, as the fields' types."""
    hints = typing.get_type_hints(config_class)
    result = {}
    for f in dataclasses.fields(config_class):
        if f.name in flags.FLAGS:
            value = flags.FLAGS[f.name].value
            if typing.get_origin(hints[f.name]) is tuple:
                value = tuple(map(typing.get_args(hints[f.name])[0], value))
            result[f.name] = value
    return result


def define_source(*instead: str) -> None:
    """Makes the flags that say which trained model a script is about; see `source`.

    With `--model` it is one that is made of trained parts, and `parser(define_composed)` adds flags
    for its configuration.

    Args:
      *instead: flags, already made, of which one can be given for those.
    """
    where = {"module_name": sys.argv[0]}
    names = ""
    with contextlib.suppress(InputError):  # --help works without them
        names = ", ".join(pretrained.names())
    flags.DEFINE_string("workdir", None, "Folder of a training run.", **where)
    flags.DEFINE_string(
        "pretrained",
        None,
        f"A pretrained model: {names}; or hf://USER/NAME of the Hugging Face Hub.",
        **where,
    )
    flags.DEFINE_enum(
        "model",
        None,
        registry.COMPOSED,
        "A model made of trained parts; --help --model=NAME.",
        **where,
    )
    flags.mark_flags_as_mutual_exclusive(
        ["workdir", "pretrained", "model", *instead], required=True
    )


def define_composed(model: str | None) -> None:
    """Makes the flags of a composed model's configuration."""
    if model in registry.COMPOSED:
        define(registry.config_class(model))


def define_sampler(model: str | None) -> None:
    """The flags of samplers in steps, or of a model that is made of trained parts."""
    if model is not None:
        define_composed(model)  # of which one has settings of these names
        return
    where = {"module_name": sys.argv[0]}
    flags.DEFINE_integer(
        "num_steps",
        None,
        "Steps of the sampler of models that draw in steps, as flow_matching or vqvae with "
        "prior=maskgit: more are slower and nearer to the model's distribution. Default: the "
        "model's own.",
        lower_bound=1,
        **where,
    )
    flags.DEFINE_float(
        "guidance",
        None,
        "How much labels count in such models: 1 is the model itself, more makes images more "
        "typical and less varied. Default: the model's own.",
        lower_bound=0.0,
        **where,
    )


def of_sampler() -> dict[str, float]:
    """What was asked for of a sampler in steps; models of trained parts have it in their config."""
    if flags.FLAGS.model is not None:
        return {}
    return {"num_steps": flags.FLAGS.num_steps, "guidance": flags.FLAGS.guidance}


def source():
    """The workdir or the pretrained model that was given, as `zoo.load` takes it, or the composed.

    Raises:
      InputError: no pretrained model has this name.
    """
    if (name := flags.FLAGS.pretrained) is not None:
        return references.parse(name) if name.startswith("hf:") else references.packaged(name)
    if name := flags.FLAGS.model:
        return references.Composed(name, values(registry.config_class(name)))
    return pathlib.Path(flags.FLAGS.workdir)


def output_file(path: str | pathlib.Path, late: bool = False) -> pathlib.Path:
    """The file that a script is to write, looked at before the work begins.

    Args:
      path: of the file.
      late: whether the work is worth doing where the file cannot be written: a warning then.

    Raises:
      InputError: its folder is not there or may not be written to, or it is there and no file.
    """
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder to write to")
    if path.is_dir():
        raise InputError(f"--out={path} is a folder, and a file is to be written")
    if path.exists() and not path.is_file():
        raise InputError(f"--out={path} is a device or a pipe, and a file is to be written")
    try:
        files.writable(path.parent)
    except OSError as e:
        line = f"{path} cannot be written: {e.strerror}"
        if not late:
            raise InputError(line) from None
        print(f"warning: {line}", file=sys.stderr)
    return path


def output_folder(path: str | pathlib.Path) -> pathlib.Path:
    """The folder that a script is to write to, which may be there, looked at before the work.

    Raises:
      InputError: it cannot be made or may not be written to.
    """
    path = pathlib.Path(path)
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists() or p.is_symlink())
    if not nearest.is_dir():
        raise InputError(f"--out={path} cannot be a folder: {nearest} is none")
    try:
        files.writable(nearest)
    except OSError as e:
        raise InputError(f"--out={path} cannot be written: {nearest}: {e.strerror}") from None
    return path


def given(*but: str) -> list[str]:
    """The flags of this script that were given and are not at their defaults, as they are written.

    Args:
      *but: names of flags to leave out.
    """
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    own = [f for f in own if f.present and f.value != f.default and f.name not in but]
    return [f.serialize() for f in own]


def present() -> set[str]:
    """The names of this script's flags that were given, whatever their values."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return {f.name for f in own if f.present}


def parser(define_flags: Callable[..., None], *also: str) -> Callable[[list[str]], list[str]]:
    """A flags parser that peeks at `--model` and then lets `define_flags(model)` add its flags.

    Without a model, or with one that does not exist, it is `define_flags(None)`. The values of the
    flags that `also` names come after the model, "" where they are not given.
    """

    def parse(argv: list[str]) -> list[str]:
        peek = flags.FlagValues()
        for name in ("model", *also):
            flags.DEFINE_string(name, "", "", flag_values=peek)
        try:
            peek(argv, known_only=True)
        except flags.Error:  # which the parsing of all flags reports
            peek.mark_as_parsed()
        model = peek.model if peek.model in registry.MODELS else None
        define_flags(model, *(peek[name].value for name in also))
        return _parse(argv)

    return parse


def _parse(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except SystemExit:
        if _HELP & {word.lstrip("-") for word in argv[1:]}:
            raise SystemExit(0) from None  # absl calls asking for help a failure
        raise


def _expand_paths() -> None:
    """Makes paths of this machine of all flags that are paths, in every script.

    Raises:
      InputError: one is an address.
    """
    for name in (_PATHS | _REFERENCES) & set(flags.FLAGS):
        flag, remote = flags.FLAGS[name], name in _REFERENCES
        if isinstance(flag.value, list):
            flag.value = [files.expanded(v, f"--{name}", remote) for v in flag.value]
        elif flag.value:
            flag.value = files.expanded(flag.value, f"--{name}", remote)


def run(main: Callable[[list[str]], int | None], flags_parser=None) -> None:
    """Runs a script: `main`'s result is the exit code, and bad input is one line and code 2.

    A signal that stops it is one line too, and code 128 + n; see `zoo/core/stopping.py`. Most of
    TensorFlow's start-up notices are turned off, unless the user has set how loud it is.
    """
    from zoo.core import stopping

    stopping.install()
    memory.keep()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8

    def guarded(argv):
        if not flags.FLAGS["verbosity"].present:  # absl.app itself makes it INFO
            logging.set_verbosity(logging.WARNING)
        try:
            _expand_paths()  # before anything is imported that takes seconds
            if len(argv) > 1:
                raise InputError(f"Unexpected argument {argv[1]!r}. Pass settings as --name=value.")
            return main(argv)
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            return 2
        except BrokenPipeError:
            return 1
        except OSError as e:
            if e.errno is None:
                raise
            print(f"error: {os.strerror(e.errno)}: {e.filename or 'writing'}", file=sys.stderr)
            return 2 if e.errno in _BAD_PATH else 1
        except Exception as e:
            if reason := no_space(e):
                print(f"error: {reason}", file=sys.stderr)
            elif isinstance(e, MemoryError) or type(e).__name__ == "ResourceExhaustedError":
                print("error: this takes more memory than there is: ask for less", file=sys.stderr)
            else:
                raise
            return 1

    app.run(guarded, flags_parser=flags_parser or _parse)
