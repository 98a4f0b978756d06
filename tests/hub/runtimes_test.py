"""Files for ONNX Runtime and LiteRT say what TensorFlow says, in processes that have neither."""

import importlib
import json

import numpy as np
import pytest
import tensorflow as tf
from small_models import of_shape

import zoo
from zoo import registry
from zoo.core import batches
from zoo.hub import export, runtimes
from zoo.math import distributions

RUNTIMES = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
SHAPE = (12, 12, 1)
REFUSED = {("pixelcnn", "litert"), ("pixelrnn", "litert")}  # its reshape fails, a loop
# what reads a folder of files and the arrays to ask them about, without TensorFlow and the zoo
READ = """
import json, pathlib, sys
import numpy as np
folder, given, out = map(pathlib.Path, sys.argv[1:])
arrays, found = dict(np.load(given)), {}
for name in json.loads((folder / "endpoints.json").read_text())["endpoints"]:
    file = next(folder.glob(f"{name}.*"))
    if file.suffix == ".onnx":
        import onnxruntime
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        names = [o.name for o in session.get_outputs()]
        taken = {i.name: arrays[i.name] for i in session.get_inputs()}
        said = dict(zip(names, session.run(names, taken)))
    else:
        from ai_edge_litert.interpreter import Interpreter
        runner = Interpreter(model_path=str(file)).get_signature_runner(name)
        said = runner(**{i: arrays[i] for i in runner.get_input_details()})
    found |= {f"{name}.{k}": v for k, v in said.items()}
assert "tensorflow" not in sys.modules and "zoo" not in sys.modules
np.savez(out, **found)
"""


def available(format):
    return all(importlib.util.find_spec(module) for module in RUNTIMES[format])


def needs(format):
    return pytest.mark.skipif(not available(format), reason=f"without the extra {format}")


every_format = pytest.mark.parametrize(
    "format", [pytest.param(f, marks=needs(f)) for f in RUNTIMES]
)


def make(name):
    name, settings = of_shape(name, SHAPE)
    return zoo.create(name, SHAPE, seed=3, **settings)


def arrays_of(model, count=5):
    """Named arrays for every input of the endpoints that draw nothing."""
    random = np.random.default_rng(1)
    found = {}
    for _, signature in runtimes.deterministic(model).values():
        for spec in signature:
            shape = [count if side is None else side for side in spec.shape]
            if spec.name == "images":
                found["images"] = random.random(shape, np.float32)
            elif spec.dtype.is_integer:
                found[spec.name] = random.integers(0, 10, shape).astype(spec.dtype.as_numpy_dtype)
            else:
                found[spec.name] = random.random(shape, np.float32)
    return found


def session_of(model, endpoint, folder):
    """An endpoint of a model in ONNX Runtime."""
    import onnxruntime

    runtimes.onnx(model, folder)
    return onnxruntime.InferenceSession(str(folder / f"{endpoint}.onnx"))


@every_format
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("vae", "cgan") else pytest.mark.weekly)
        for name in registry.trainable()
    ],
)
@pytest.mark.slow
def test_a_runtime_says_what_tensorflow_says(name, format, tmp_path, run_python):
    model = make(name)
    endpoints = runtimes.deterministic(model)
    if (name, format) in REFUSED:
        with pytest.raises(zoo.InputError, match="cannot be written as"):
            export.WRITE[format](model, tmp_path / "model")
        assert not list(tmp_path.iterdir())
        return
    assert export.WRITE[format](model, tmp_path / "model") == list(endpoints)
    arrays = arrays_of(model)
    np.savez(tmp_path / "given.npz", **arrays)
    run_python(READ, tmp_path / "model", tmp_path / "given.npz", tmp_path / "found.npz", fresh=True)
    found = np.load(tmp_path / "found.npz")
    for endpoint, (function, signature) in endpoints.items():
        for key, value in function(*(tf.constant(arrays[s.name]) for s in signature)).items():
            value = value.numpy()
            close = 4e-5 * max(1.0, np.abs(value).max())
            np.testing.assert_allclose(found[f"{endpoint}.{key}"], value, rtol=0, atol=close)


@needs("onnx")
@pytest.mark.slow
def test_a_label_that_does_not_exist_is_an_error_in_onnx_too(tmp_path):
    model = make("cgan")
    session = session_of(model, "generate", tmp_path / "model")
    latents = np.zeros([2, model.latent_dim], np.float32)
    session.run(None, {"latents": latents, "labels": np.array([0, 9], np.int32)})
    with pytest.raises(Exception, match="out of data bounds"):
        session.run(None, {"latents": latents, "labels": np.array([0, 10], np.int32)})


@needs("onnx")
@pytest.mark.slow
def test_flow_matching_is_drawn_by_onnx_alone_with_guidance(tmp_path):
    model = make("flow_matching")
    session = session_of(model, "velocity", tmp_path / "model")
    x = np.random.default_rng(0).standard_normal((2, *SHAPE), np.float32)
    labels, nothing = np.array([3, 9], np.int32), np.full(2, 10, np.int32)
    other = tf.constant(x)
    times = np.linspace(0, 1, 5, dtype=np.float32)
    for t, u in zip(times[:-1], times[1:], strict=True):
        given = {"x": x, "t": np.full(2, t)}
        [told] = session.run(None, {**given, "labels": labels})
        [without] = session.run(None, {**given, "labels": nothing})
        x = x + (u - t) * (without + 1.25 * (told - without))
        other += (u - t) * model.guided_velocity(other, tf.constant(t), tf.constant(labels), 1.25)
    np.testing.assert_allclose(x, other.numpy(), rtol=0, atol=1e-4)
    with pytest.raises(Exception, match="out of data bounds"):
        session.run(None, {**given, "labels": nothing + 1})


def test_means_need_no_erfc():
    loc = tf.constant(np.linspace(-0.5, 1.5, 41, dtype=np.float32))[:, None]
    scale = tf.constant(np.geomspace(1e-3, 1.0, 13, dtype=np.float32))[None]
    exact = distributions.QuantizedNormal(loc, scale).mean()

    @tf.function(autograph=False)
    def mean():
        return distributions.QuantizedNormal(loc, scale).mean()

    with distributions.of_elementary_functions():
        graph = mean.get_concrete_function().graph
        kinds = {operation.type for operation in graph.get_operations()}
        found = mean()
    assert not kinds & {"Erf", "Erfc"}
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6)
    assert (distributions.QuantizedNormal(loc, scale).mean().numpy() == exact.numpy()).all()


def test_graphs_of_some_examples_are_not_padded():
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 2])])
    def twice(x):
        return batches.in_batches(lambda part: 2 * part, [x], 4)

    with batches.of_some():
        plain = twice.get_concrete_function()
    assert "Pad" not in {operation.type for operation in plain.graph.get_operations()}
    assert (twice(tf.ones([3, 2])).numpy() == 2).all()


def test_what_a_runtime_says_otherwise_is_refused(tmp_path):
    def write(answer):
        model = make("vae")
        convert = lambda graph, signature, file: file.write_bytes(b"file")  # noqa: E731
        return runtimes.write(model, tmp_path / "model", "x", convert, answer, False)

    with pytest.raises(zoo.InputError, match="encode of vae as x has no output"):
        write(lambda file, given: {"other": np.zeros(3)})
    with pytest.raises(zoo.InputError, match="differs from TensorFlow by"):
        write(lambda file, given: dict.fromkeys(("loc", "scale"), np.float32(9)))

    def broken(file, given):
        raise RuntimeError("no such operation\nat line 3")

    with pytest.raises(zoo.InputError, match="cannot be written as x: no such operation$"):
        write(broken)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_one_format_whole(run, tmp_path):
    flags = ("--pretrained=vae", f"--out={tmp_path / 'vae.keras'}")
    code, _, err = run("export", *flags)
    assert code == 2 and "--format=keras" in err
    code, out, err = run("export", *flags, "--format=keras")
    assert code == 0, err
    assert out.startswith("keras of vae in ")
    code, _, err = run("export", *flags, "--format=keras")
    assert code == 2 and "exists already" in err
    assert [path.name for path in tmp_path.iterdir()] == ["vae.keras"]
    import keras

    same = keras.saving.load_model(tmp_path / "vae.keras")
    assert (same.sample(3, seed=0).numpy() == zoo.load("vae").sample(3, seed=0).numpy()).all()


@needs("onnx")
@pytest.mark.slow
def test_a_folder_says_what_its_files_take(tmp_path):
    runtimes.onnx(make("vae"), tmp_path / "model")
    about = json.loads((tmp_path / "model" / runtimes.ABOUT).read_text())
    assert about["endpoints"]["reconstruct"]["outputs"] == ["images_out"]
    assert about["endpoints"]["decode"]["inputs"]["latents"]["dtype"] == "float32"
    with pytest.raises(FileExistsError):
        runtimes.onnx(make("vae"), tmp_path / "model")
