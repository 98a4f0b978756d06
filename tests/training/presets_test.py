"""Presets: data in the registry that become defaults, and that any setting overrides."""

import dataclasses
import json

import numpy as np
import pytest

import zoo
from zoo import recipes, registry
from zoo.core import config
from zoo.training import api, defaults, loop, monitor

ALL = [(name, preset) for name in registry.trainable() for preset in registry.presets(name)]
TINY = {"network": "mlp", "hidden": (8,), "latent_dim": 2, "batch_size": 16}


@pytest.mark.parametrize(("name", "preset"), ALL)
def test_every_setting_of_a_preset_is_one_of_the_model_or_its_recipe(name, preset):
    values = registry.preset(name, preset)
    usual = defaults.settings_of(name, "")
    found = defaults.settings_of(name, "", preset)
    left = dict(values)
    for plain, changed in zip(usual[:2], found[:2], strict=True):
        own = {k: v for k, v in values.items() if hasattr(plain, k)}
        assert changed == dataclasses.replace(plain, **own)
        assert config.make(type(plain), dataclasses.asdict(changed)) == changed  # within bounds
        assert all(getattr(plain, k) != v for k, v in own.items()), "a preset says what differs"
        left = {k: v for k, v in left.items() if k not in own}
    assert values and not left
    assert found[2] == usual[2]


def test_what_a_preset_watches_is_logged():
    values = registry.preset("diffusion", "likelihood")
    model = zoo.create("diffusion", (8, 8, 1), 0, width=4, objective=values["objective"])
    for name in (values["monitor"], "val_diffusion_nats"):
        monitor.check_scalar(name, "val_fid", model, recipes.Run())
    with pytest.raises(zoo.InputError, match="val_nothing is not logged"):
        monitor.check_scalar("val_nothing", "val_fid", model, recipes.Run())
    assert monitor.score("val_reconstruction_nats", -3.0) == 3.0  # the greater the better


def test_the_vaes_have_the_three_presets():
    for name in ("vae", "cvae", "iwae", "flow_vae"):
        assert registry.presets(name) == ("samples", "likelihood", "fast")
        assert registry.preset(name, "samples")["prior"] == "flow"
    assert registry.presets("gan") == ()


def test_settings_override_a_preset_and_both_are_written(tmp_path, capsys, no_steps):
    x = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 1)).astype(np.uint8)
    place = tmp_path / "run"
    zoo.train("vae", x, place, preset="fast", epochs=1, **TINY)
    assert "preset fast: --decay=cosine\n" in capsys.readouterr().out  # epochs was asked for
    written = json.loads((place / "config.json").read_text())
    assert (written["recipe"]["decay"], written["recipe"]["epochs"]) == ("cosine", 1)
    command = defaults.command(written)
    assert "--decay=cosine" in command and "preset" not in command


def test_a_preset_that_a_model_lacks_is_named(monkeypatch):
    monkeypatch.setattr(loop, "train", lambda *a: pytest.fail("it trains"))
    with pytest.raises(zoo.InputError, match="vae has no preset 'best'; it has samples, likelih"):
        api.train("vae", preset="best")
    with pytest.raises(zoo.InputError, match="gan has no preset 'samples'; it has none"):
        api.train("gan", preset="samples")


def test_the_command_takes_a_preset_for_its_defaults(run):
    code, out, _ = run("train", "--help", "--model=vae", "--preset=likelihood")
    assert code == 0 and "default: '30'" in out and "vae has samples, likelihood, fast" in out
    for words in (("--model=gan", "--preset=samples"), ("--model=vae", "--preset=best")):
        code, _, err = run("train", *words)
        assert code == 2 and "has no preset" in err and err.count("\n") == 1
