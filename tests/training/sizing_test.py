"""What a run needs in memory is told, and a run that cannot fit is refused before it begins."""

import types

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import data, registry
from zoo.core import memory
from zoo.errors import InputError
from zoo.training import sizing

GB = 10**9


def system(root, available, groups="", **files):
    """A system with so many bytes available, and files of its control groups."""
    for path, text in {
        "proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {available // 1024} kB\n",
        "proc/self/cgroup": groups,
        **files,
    }.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return memory.available(root)


def group(folder, limit, usage, inactive, names=("max", "current", "inactive_file")):
    return {
        f"sys/fs/cgroup/{folder}memory.{names[0]}": limit,
        f"sys/fs/cgroup/{folder}memory.{names[1]}": str(usage),
        f"sys/fs/cgroup/{folder}memory.stat": f"anon 5\n{names[2]} {inactive}\n",
    }


def test_what_is_available_is_the_least_of_machine_and_control_groups(tmp_path):
    assert system(tmp_path / "plain", 2048 * 1000) == 2048 * 1000
    of_version_2 = group("box/", "900000", 500000, 100000)
    assert system(tmp_path / "a", 2048 * 1000, "0::/box\n", **of_version_2) == 500000
    above = of_version_2 | group("", "600000", 500000, 0)
    assert system(tmp_path / "b", 2048 * 1000, "0::/box\n", **above) == 100000
    assert system(tmp_path / "c", 2048 * 1000, "0::/", **group("", "max", 5, 0)) == 2048 * 1000
    old = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
    of_version_1 = group("memory/box/", "900000", 950000, 0, old)
    found = system(tmp_path / "d", 2048 * 1000, "4:memory:/box\n0::/\n", **of_version_1)
    assert found == 0  # and not less
    assert memory.available(tmp_path / "nowhere") is None


def model_of(count, parameters=10):
    """A model whose forward pass has `count` multiplications of all pixels."""

    def test_step(batch):
        images, _ = batch
        x = tf.cast(images, tf.float32)
        for _ in range(count):
            x = tf.reshape(x, [-1]) * 2.0
        return {"loss": x}

    return types.SimpleNamespace(
        image_shape=(4, 4, 1), test_step=test_step, num_parameters=lambda: parameters
    )


@pytest.mark.parametrize("count", [0, 1, 5])
def test_activations_are_the_outputs_of_all_operations_but_views(count):
    batch, others = 32, 1000
    expected = 4 * batch * 16 * (1 + count) + batch * 17 + 3 * batch  # and the batch itself
    assert abs(sizing.activations(model_of(count), batch) - expected) < others


def images(side, count=40):
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    return data.sources.of_arrays(pixels)


@pytest.fixture
def free(monkeypatch):
    """`free(bytes, ...)`: what is available at each look."""

    def set_to(*found):
        looks = iter(found)
        monkeypatch.setattr(memory, "available", lambda: next(looks))

    return set_to


def test_a_batch_that_fits_is_named_and_fits(free, monkeypatch):
    monkeypatch.setattr(sizing, "_FEW_PIXELS", 0)
    monkeypatch.setattr(sizing.checkpoints, "state", lambda model: {})
    pictures, model = images(4), model_of(50)
    needs = sizing.check(model, pictures, 4096, []) if free(GB) is None else None
    by_batch = int(sizing.HELD * sizing.activations(model, 4096))
    assert needs.step == by_batch + 40 + sizing.GRAPH
    room = pictures.train.images.nbytes + pictures.validation.images.nbytes + by_batch // 3
    room += sizing.GRAPH + 40
    free(room, room)
    with pytest.raises(InputError, match="give --batch_size=([0-9]+) or a smaller --width") as e:
        sizing.check(model, pictures, 4096, ["width"])
    fits = int(str(e.value).split("--batch_size=")[1].split()[0])
    assert 1300 < fits <= 4096 / 3 and sizing.check(model, pictures, fits, []).free == room
    free(10)
    with pytest.raises(InputError, match="are free: give a smaller --width$"):
        sizing.check(model, pictures, 4096, ["width"])


def test_a_small_run_is_not_looked_at(free):
    free()
    assert sizing.check(model_of(1), images(4), 128, []) is None


@pytest.mark.parametrize("looks", [(10**6,), (GB, 10**6)])
def test_a_run_that_cannot_fit_leaves_nothing_behind(free, tmp_path, monkeypatch, looks):
    monkeypatch.setattr(sizing, "_FEW_PIXELS", 0)
    free(*looks)
    what = (
        "the weights and their optimizer take"
        if len(looks) == 1
        else "training by 8 images a step takes"
    )
    with pytest.raises(InputError, match=f"{what} .* of memory.* a smaller --width"):
        zoo.train("vae", (images(8).train.images, None), workdir=tmp_path / "run", batch_size=8)
    assert not (tmp_path / "run").exists()


def test_what_makes_a_run_smaller_is_a_setting_that_it_has():
    def smaller(network):
        options = registry.config_class("vae")(network=network)
        return sizing.smaller(images(4), options)

    assert smaller("conv") == ["width"] and smaller("mlp") == ["hidden"]
    assert sizing._give([], []) == "" and sizing._give(["a"], ["b"]) == ": give a or a smaller --b"


def test_what_a_run_needs_is_said(tmp_path):
    needs = sizing.Needs(weights=2 * GB, step=int(1.25 * GB), images=0, free=9 * GB)
    assert str(needs) == (
        "memory: weights and optimizers 2.0 GB, a step about 1.2 GB, images 0.0 GB; 9.0 GB are free"
    )
