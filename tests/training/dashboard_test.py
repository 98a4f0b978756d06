"""Where TensorBoard shows what is logged: two runs, groups in their order, charts of several."""

import re

from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from zoo.training import dashboard

LOGGED = {
    "d_loss": 1.0,
    "val_d_loss": 2.0,
    "value": -1.0,
    "equilibrium_value": -1.4,
    "d_real": 0.5,
    "val_fid": 7.0,
    "floor_fid": 3.0,
    "val_class_fidelity_of": {"T-shirt/top": 0.5, "Bag": 0.6},
    "floor_class_fidelity_of": {"T-shirt/top": 0.8, "Bag": 0.9},
    "modes_covered": 4.0,
    "val_kl_per_dim_nats": [0.1, 0.2],
    "spectral_norm": {"features/dense": 1.5},
}


def shown(main_run="validation"):
    return {(run, tag): value for run, tag, value in dashboard.scalars(LOGGED, main_run)}


def test_what_is_logged_is_in_two_runs_and_what_samples_are_is_in_one():
    found = shown()
    assert {run for run, _ in found} == set(dashboard.RUNS)
    assert found["train", "losses/d_loss"] == 1 and found["validation", "losses/d_loss"] == 2
    assert found["validation", "samples/fid"] == 7
    assert found["validation", "samples_floor/fid"] == 3
    assert found["validation", "samples/modes_covered"] == 4  # whose name has no val_
    assert found["validation", "samples_checks/class_fidelity_of/T-shirt/top"] == 0.5
    assert found["validation", "statistics/kl_per_dim_nats/01"] == 0.2
    assert len(found) == 15  # none is lost
    assert {run for run, tag in shown("train") if tag.startswith("samples")} == {"train"}


def test_losses_and_samples_come_first():
    tags = sorted({tag for _, tag in shown()} | {"weights/encoder/dense/kernel"})
    groups = dict.fromkeys(tag.split("/")[0] for tag in tags)
    assert tuple(groups) == dashboard.GROUPS and tuple(groups)[:2] == ("losses", "samples")
    assert all(map(dashboard.is_known, tags))
    of_before = ("loss", "samples", "fid", "class_share/Bag", "encoder/dense/kernel")
    assert not any(map(dashboard.is_known, (*of_before, "_hparams_/session_start_info")))


def test_scalars_of_each_class_are_one_chart():
    tags = {tag for _, tag in shown()}
    [value] = dashboard.layout(tags).value
    layout = layout_pb2.Layout.FromString(value.tensor.string_val[0])
    lines = {
        chart.title: {t for t in tags for r in chart.multiline.tag if re.match(r, t)}
        for category in layout.category
        for chart in category.chart
    }
    of_class = {f"samples_checks/class_fidelity_of/{name}" for name in ("T-shirt/top", "Bag")}
    assert lines == {
        "class_fidelity_of": of_class,
        "class_fidelity_of, floor": {t.replace("checks", "floor") for t in of_class},
        "kl_per_dim_nats": {"statistics/kl_per_dim_nats/00", "statistics/kl_per_dim_nats/01"},
        "spectral_norm": {"statistics/spectral_norm/features/dense"},
        "fid": {"samples/fid", "samples_floor/fid"},
        "value": {"losses/value", "losses/value_equilibrium"},
    }
    assert dashboard.layout({"losses/loss", "statistics/epoch"}) is None


def test_hparams_begin_with_model_step_size_and_length_and_figures_with_the_fid():
    settings = {"augment": True, "step_size": 1e-3, "model": "vae", "steps": 90, "beta_1": 0.5}
    [value] = dashboard.experiment(settings).value
    found = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
    # as TensorBoard sorts
    infos = sorted(found.hparam_infos, key=lambda info: (not info.differs, info.name))
    names = [info.display_name for info in infos]
    assert names == ["model", "learning_rate", "steps", "augment", "beta_1"]
    assert found.metric_infos[0].name.tag == "samples/fid"
    assert found.metric_infos[0].display_name == "FID"
