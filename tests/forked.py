"""Scripts as real processes that need not import TensorFlow: forked from a server that has.

Importing TensorFlow, TensorFlow Probability and Keras costs 4 to 5 seconds of every process. The
fork server of `multiprocessing` imports them once, runs no operation, and forks itself for each
script. What is forked has a process number, signals and an exit code of its own, as any process.
"""

import gc
import multiprocessing
import os
import pathlib
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import types

ROOT = pathlib.Path(__file__).resolve().parents[1]
_IMPORTED = [  # TFP before TensorFlow: it then imports it lazily
    "tensorflow_probability",
    "tensorflow",
    "keras",
    "forked",
    "zoo.commands.cli",
    "zoo.drawing.views",
    "zoo.evaluation.metrics",
    "zoo.hub.export",
    "zoo.training.loop",
]


def environment(more=()) -> dict[str, str]:
    """What a process of the tests finds in its environment."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **dict(more)}


def start_server(quick: bool):
    """A `multiprocessing` context whose processes are forked from one that has imported all.

    With `quick` TensorFlow does not rewrite their graphs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_IMPORTED, *(["quick_graphs"] if quick else [])])
    before = dict(os.environ)
    os.environ.update(environment({"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}))
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


class Forked:
    """A running script, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, context, argv, *, code=None, env=(), cwd=None, limits=()):
        """Starts `argv[0]`, or `code` with these arguments.

        Args:
          context: of `start_server`.
          argv: the script's path and its flags, or "-c" and its arguments.
          code: Python code to run in place of a script.
          env: variables of its environment beside those of `environment`.
          cwd: where it runs.
          limits: pairs for `resource.setrlimit`, (which, value).
        """
        self._said = [tempfile.TemporaryFile("w+", errors="surrogateescape") for _ in range(2)]
        fds = [multiprocessing.reduction.DupFd(f.fileno()) for f in self._said]
        arguments = (fds, list(map(str, argv)), code, environment(env), cwd and str(cwd), limits)
        self._process = context.Process(target=_main, args=arguments, daemon=True)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def so_far(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr until now."""
        return tuple(os.pread(f.fileno(), 1 << 20, 0).decode() for f in self._said)

    def communicate(self, timeout=None):
        """What it wrote to stdout and to stderr, once it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            self.kill()
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        for f in self._said:
            f.seek(0)
        return tuple(f.read() for f in self._said)


def free_ports(count):
    """Ports that nobody listens to."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _main(fds, argv, code, env, cwd, limits) -> None:
    gc.freeze()  # what was imported is not garbage
    for number, fd in enumerate(fds, 1):
        os.dup2(fd.detach(), number)
    os.environ.clear()
    os.environ.update(env)
    if cwd:
        os.chdir(cwd)
    for which, value in limits:
        resource.setrlimit(which, (value, value))
    sys.argv = argv
    if code is None:
        sys.path.insert(0, os.path.dirname(argv[0]))
        runpy.run_path(argv[0], run_name="__main__")
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), main.__dict__)
