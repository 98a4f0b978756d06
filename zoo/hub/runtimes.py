"""Files for runtimes without TensorFlow: ONNX and LiteRT, one for each endpoint.

Random numbers convert nowhere, so these are the endpoints that draw none: who uses `generate.onnx`
draws the latents. Each file is run once where it is written, beside TensorFlow, and refused where
the two differ: a converter may write what its runtime cannot read, and say nothing.
"""

import pathlib
import re
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.core import batches, extras, files
from zoo.errors import InputError
from zoo.math import distributions

ABOUT = "endpoints.json"
_OPSET = 18
_TOLERANCE = 1e-4  # of what is at most 1; logits and the like relative to their greatest


def deterministic(model: Any) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
    """The endpoints of a model that draw nothing: name -> function and its signature.

    In ONNX no output may be called as an input is: `images` that come of `images` are `images_out`.
    """
    found = {}
    for name, (function, signature) in model.endpoints().items():
        inputs = [spec.name for spec in signature]
        if "seed" not in inputs:  # at a time t the null label is one too, which guidance needs
            num_labels = model.num_classes + ("t" in inputs)
            found[name] = _for_runtimes(function, inputs, num_labels), signature
    return found


def _for_runtimes(function, inputs, num_labels):
    """The function, with labels looked up in a table: one that is too great is an error."""

    def called(*arguments):
        given = dict(zip(inputs, arguments, strict=True))
        if "labels" in given:
            given["labels"] = tf.gather(tf.range(num_labels), given["labels"])
        found = function(**given)
        return {f"{k}_out" if k in inputs else k: v for k, v in found.items()}

    return called


def onnx(model: Any, path: pathlib.Path, replace: bool = False) -> list[str]:
    """Writes a folder with `ENDPOINT.onnx` for each endpoint; see `write`.

    Needs tf2onnx and onnxruntime, the extra `onnx`.
    """
    tf2onnx = extras.library("tf2onnx", "onnx", "--format=onnx")
    runtime = extras.library("onnxruntime", "onnx", "--format=onnx")

    def convert(graph, signature, file):
        tf2onnx.convert.from_function(
            graph,
            signature,
            opset=_OPSET,
            custom_op_handlers={"BroadcastArgs": (_broadcast_args, []), "Log1p": (_log1p, [])},
            output_path=str(file),
        )

    def run(file, given):
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        taken = {i.name: given[i.name] for i in session.get_inputs()}
        names = [o.name for o in session.get_outputs()]
        return dict(zip(names, session.run(names, taken), strict=True))

    return write(model, path, "onnx", convert, run, replace)


def litert(model: Any, path: pathlib.Path, replace: bool = False) -> list[str]:
    """Writes a folder with `ENDPOINT.tflite` for each endpoint; see `write`.

    Needs ai-edge-litert, the extra `litert`.
    """
    interpreter = extras.library("ai_edge_litert.interpreter", "litert", "--format=litert")

    def convert(graph, signature, file):
        with tempfile.TemporaryDirectory() as folder:
            archive = keras.export.ExportArchive()
            archive.add_endpoint(file.stem, graph.python_function, input_signature=signature)
            archive.write_out(folder, verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[file.stem])
            file.write_bytes(converter.convert())

    def run(file, given):
        runner = interpreter.Interpreter(model_path=str(file)).get_signature_runner(file.stem)
        return runner(**{name: given[name] for name in runner.get_input_details()})

    return write(model, path, "tflite", convert, run, replace)


def write(
    model: Any, path: pathlib.Path, suffix: str, convert: Callable, run: Callable, replace: bool
) -> list[str]:
    """Writes a folder with a file for each endpoint that draws nothing, and what they take.

    Args:
      model: has `endpoints()`.
      path: the folder, whole when it appears.
      suffix: of the files.
      convert: writes a graph of a signature to a file.
      run: gives what a file says of named arrays.
      replace: whether the folder takes the place of what is there.

    Returns:
      The endpoints' names.

    Raises:
      InputError: the model has no such endpoint, or one that the runtime cannot run.
      FileExistsError: something is there, and is not to be replaced.
    """
    endpoints = deterministic(model)
    if not endpoints:
        raise InputError(f"{model.name} draws in all that it exports: use --format=saved_model")
    about = {}

    def fill(folder):
        for name, (function, signature) in endpoints.items():
            given = {spec.name: _example(spec) for spec in signature}
            with distributions.of_elementary_functions(), batches.of_some():
                graph = tf.function(function, input_signature=signature, autograph=False)
                file = folder / f"{name}.{suffix}"
                try:
                    convert(graph, signature, file)
                    found = run(file, given)
                except Exception as e:  # whatever a converter or a runtime raises
                    raise InputError(
                        f"{name} of {model.name} cannot be written as {suffix}: {_reason(e)}"
                    ) from e
            expected = function(*(tf.constant(v) for v in given.values()))
            outputs = _by_name(found, expected, f"{name} of {model.name} as {suffix}")
            about[name] = {
                "inputs": {
                    s.name: {"dtype": s.dtype.name, "shape": s.shape.as_list()} for s in signature
                },
                "outputs": outputs,
            }
        files.write_json(folder / ABOUT, {"model": model.name, "endpoints": about})

    files.write_folder(path, fill, replace)
    return list(endpoints)


_LACKING = re.compile(r"'tf\.(\w+)' op|Op registered for (\w+)|\"(\w+):\"")


def _reason(error: Exception) -> str:
    """One line of why a converter or a runtime failed: the operation that it lacks, if it says."""
    line = str(error).strip().partition("\n")[0]
    if lacking := _LACKING.search(line):
        return f"it lacks {next(filter(None, lacking.groups()))}"
    return line[:200]


def _example(spec: tf.TensorSpec) -> np.ndarray:
    """Three examples, or one number, of an input."""
    shape = [3 if side is None else side for side in spec.shape]
    if spec.dtype.is_integer:
        return np.zeros(shape, spec.dtype.as_numpy_dtype)
    random = np.random.default_rng(0)
    if spec.name == "images":
        return random.random(shape, np.float32)
    return random.standard_normal(shape, np.float32)


def _by_name(found: dict[str, np.ndarray], expected: dict[str, tf.Tensor], what: str) -> list[str]:
    """The outputs' names, once each is TensorFlow's."""
    for name, tensor in expected.items():
        if name not in found:
            raise InputError(f"{what} has no output {name}, but {', '.join(found)}")
        value = tensor.numpy()
        apart = float(np.max(np.abs(found[name] - value), initial=0.0))
        scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
        if not apart <= _TOLERANCE * scale:
            raise InputError(f"{what} differs from TensorFlow by {apart:.2g} in {name}")
    return list(expected)


def _broadcast_args(context, node, name, arguments):
    """BroadcastArgs, which tf2onnx lacks: the shape to which two shapes broadcast.

    It is that of zeros of the one, expanded to the other.
    """
    kind = context.get_dtype(node.output[0])
    first, second = (
        context.make_node("Cast", [shape], attr={"to": 7}).output[0] for shape in node.input
    )
    zeros = context.make_node("ConstantOfShape", [first]).output[0]
    expanded = context.make_node("Expand", [zeros, second]).output[0]
    shape = context.make_node("Shape", [expanded]).output[0]
    outputs, shapes, kinds = node.output, node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    return context.make_node(
        "Cast", [shape], attr={"to": kind}, name=name, outputs=outputs, shapes=shapes, dtypes=kinds
    )


def _log1p(context, node, name, arguments):
    """Log1p, which ONNX lacks: the logarithm of 1 + x, whose error at small x is that of 1 + x."""
    kind = context.get_dtype(node.output[0])
    one = context.make_const(f"{name}_one", np.ones([], np.float32)).output[0]
    more = context.make_node("Add", [node.input[0], one]).output[0]
    outputs, shapes = node.output, node.output_shapes
    context.remove_node(node.name)
    return context.make_node(
        "Log", [more], name=name, outputs=outputs, shapes=shapes, dtypes=[kind]
    )
