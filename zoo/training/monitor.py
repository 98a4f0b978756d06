"""Watching a game: what tells whether a generator learns, when both players' losses do not.

The callbacks add to an epoch's logs, of which `metrics.jsonl`, TensorBoard, the console and the
choice of the best checkpoint are made. `val_X` is measured on samples, `floor_X` is the same of
real images, and `equilibrium_X` what X would be if G made what is real and D was at its best.
"""

import functools
import math
import sys
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.data import Split, toy
from zoo.errors import InputError
from zoo.evaluation import distances, evaluate, features, modes
from zoo.evaluation.metrics import class_fidelity
from zoo.hub import checkpoints, names
from zoo.recipes import Run

NUM_SAMPLES = 1000
MOST_CLASSES = 100  # of more the samples are too few to tell anything of each
PATIENCE = 3  # looks: a GAN's first ones are often of few images and few classes, and pass
WARM_UP = 500  # steps before the first look that counts: batch norm's averages start far away
COLLAPSED = 0.02  # share of distinct samples; the first epochs of `gan` have 0.04, and it grows
SURE = 0.01  # how near to 1 and to 0 D(x) and D(G(z)) are when D has won
ABSENT = 0.1  # of its share among real images: a class of less is (nearly) absent
GOOD = 0.1  # share of points near a mode; noise has 0.02, and what it covers is chance
# of two values of these the greater is the better one; of all other scalars the smaller
GREATER = {
    "accuracy",
    "class_fidelity",
    "distinct",
    "elbo_nats",
    "high_quality",
    "iwae_nats",
    "log_prob_nats",
    "mi_category_nats",
    "mi_nats",
    "modes_covered",
    "reconstruction_nats",
}
LOOKED_AT = ("val_fid", "val_kid", "val_distinct", "val_class_fidelity", "val_absent_classes")
_SEED = 0  # that of evaluate.py by default, whose figures are then the same


class Collapsed(Exception):
    """Nearly all samples are alike, and the run was asked to stop then."""


def spectral_norms(network: keras.Model) -> dict[str, float]:
    """The largest singular value of each weight of a network that is a matrix, by its layer.

    A convolution's kernel [h, w, C_in, C_out] is taken as the matrix [h w C_in, C_out] (Miyato et
    al. 2018, arXiv:1802.05957, section 2.1 and appendix A): that is not the norm of the convolution
    itself. Weights are as they are stored, so one that its layer normalizes when it is called is
    seen before that.

    Returns:
      The path of the layer in the network (`zoo/hub/names.py`) -> norm.
    """
    found = {}
    for name, weight in names.of_weights(network).items():
        if len(weight.shape) < 2 or not weight.trainable:
            continue
        matrix = np.asarray(weight, np.float64).reshape(-1, weight.shape[-1])
        small = matrix.T @ matrix if len(matrix) > matrix.shape[1] else matrix @ matrix.T
        # 10 ms for a side of 256; NumPy takes up to a second where other processes keep cores busy
        largest = float(tf.linalg.eigvalsh(small)[-1])
        found[name.removesuffix("/kernel").removesuffix("/layer")] = math.sqrt(max(largest, 0.0))
    return found


def is_watched(model, run: Run) -> bool:
    """Whether samples are measured while a model trains."""
    wanted = model.watched if run.watch == "auto" else run.watch == "on"
    return wanted and "sample" in model.can and run.eval_every > 0


def score(name: str, value: float) -> float:
    """What the best checkpoint has the least of, of a logged scalar of that name."""
    return -value if name.removeprefix("val_") in GREATER else value


def check_scalar(name: str, default: str, model, run: Run) -> None:
    """Raises InputError for a scalar of which a run of this model logs none.

    Args:
      name: of `--monitor`; "" is none.
      default: of the model's recipe, which may be measured or not.
      model: whose means are logged.
      run: says whether samples are looked at.
    """
    known = [f"{prefix}{tracked}" for prefix in ("val_", "") for tracked in model.tracked]
    known += [f"val_{name}" for name in model.validated]
    if run.dataset in toy.MIXTURES:
        known += modes.SCALARS
    if is_watched(model, run):
        known += LOOKED_AT
    if name and name != default and name not in known:
        also = "" if is_watched(model, run) else "; with --watch=on also val_fid and others"
        raise InputError(f"--monitor={name} is not logged. There are {', '.join(known)}{also}.")


class Players(keras.callbacks.Callback):
    """Adds `equilibrium_value` and the `spectral_norm` of each layer of D."""

    def on_epoch_end(self, epoch, logs=None):
        """Both cost next to nothing."""
        logs["equilibrium_value"] = self.model.equilibrium
        logs["spectral_norm"] = spectral_norms(self.model.discriminator)


class Samples(keras.callbacks.Callback):
    """Looks at a small sample, always from the same latents, and adds what it sees to the logs.

    - `val_distinct`: the share of samples that are no copy of an earlier one, nearer to it than
      half of what is usual between real images (`distances.distinct`).
    - `val_fid`: against as many validation images, in the features of a classifier. The FID of
      1,000 images is biased upwards, so it compares with its floor and with other epochs only, not
      with the FID of 10,000 in RESULTS.md.
    - `val_kid`: the kernel distance of the same features, which is not biased, and can be measured
      of a few images.
    - `val_class_fidelity`, of conditional models, which are asked for each class as often as these
      images have it, and `val_class_fidelity_of` each class.
    - `val_class_share` and `val_absent_classes`, of unconditional models: what share of samples the
      classifier takes for each class, and of how many classes there are (nearly) none.

    `floor_...` is the same of as many real images: FID of training images, all else of
    validation images. FID and fidelity of the samples are what `evaluate.py --split=validation
    --num_images=1000` says of a float32 model (half precision draws a little differently, and is
    evaluated in float32); its floor of the FID is the mean of more such sets.
    """

    def __init__(
        self,
        validation: Split,
        train: Split,
        net: features.FeatureNet | None,
        *,
        every: int,
        epochs: int,
        class_names,
    ):
        """Looks at the real images.

        Args:
          validation: N images at least two, of which 1,000 are looked at.
          train: images of which as many are the floor.
          net: a classifier of these images, or another feature extractor, which gives no classes.
            None leaves out all but `val_distinct`, and one of more features than there are images
            the FID; `unseen` says why.
          every: epochs between two looks.
          epochs: of the whole run, after which there is a look in any case.
          class_names: a name for each label.
        """
        super().__init__()
        self.num = min(NUM_SAMPLES, len(validation), len(train))
        self.every, self.epochs, self.class_names = every, epochs, class_names
        real = validation.subset(self.num)
        self.labels = real.labels
        self.radius = distances.copy_radius(real.images)
        self.floor = {"distinct": distances.distinct(real.images, self.radius)}
        self.net, self.unseen = net, ""
        if net is None and not class_names:
            self.unseen = evaluate.NO_LABELS
        elif net is None:
            self.unseen = evaluate.NO_CLASSIFIER
        else:
            self.real, p = net.see(features.batches(real.images))
            of_train, _ = net.see(features.batches(train.subset(self.num).images))
            if self.num <= (size := self.real.shape[1]):
                self.unseen = (
                    f"{self.num} validation images are too few for an FID by the {size} features "
                    f"of {net.name} ({size + 1} at least)"
                )
            self.floor |= self._distances(of_train)
            self.floor_of_classes = {True: {}, False: {}}
            self.by_class = p is not None and len(class_names) <= MOST_CLASSES
            if self.by_class:
                self.floor_of_classes[True] = self._fidelity(p, real.labels)
                self.floor_of_classes[False] = {"class_share": self._shares(p)}

    @property
    def has_fid(self) -> bool:
        """Whether there are enough images, and something that sees them."""
        return self.net is not None and not self.unseen

    def on_epoch_end(self, epoch, logs=None):
        """A look, if it is time.

        Raises:
          Diverged: samples are not finite.
        """
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        labels = features.labels_as_often(self.model, self.labels)
        options = self.model.watched_options
        drawn = features.samples(self.model, self.num, _SEED, labels, **options)
        images = np.concatenate(list(drawn))
        if not np.isfinite(images).all():
            raise checkpoints.Diverged(f"after epoch {epoch + 1} samples are not finite")
        images = features.in_bytes(images)
        seen, floor = {"distinct": distances.distinct(images, self.radius)}, self.floor
        if self.net is not None:
            of_fake, p = self.net.see(features.batches(images))
            floor = {**floor, **self.floor_of_classes[labels is not None]}
            seen |= self._distances(of_fake)
            if self.by_class and labels is not None:
                seen |= self._fidelity(p, labels)
            elif self.by_class:
                seen["class_share"] = self._shares(p)
                seen["absent_classes"] = len(absent(seen["class_share"], floor["class_share"]))
        logs.update((f"val_{name}", value) for name, value in seen.items())
        logs.update((f"floor_{name}", value) for name, value in floor.items())

    def _distances(self, others: np.ndarray) -> dict[str, float]:
        """FID, where it can be had, and KID of features against those of the validation images."""
        found = {"kid": float(distances.kid(self.real, others, 1)[0])}
        if self.has_fid:
            real = self._gaussian
            found["fid"] = distances.frechet(real, distances.gaussian(others))
        return found

    @functools.cached_property
    def _gaussian(self) -> distances.Gaussian:
        return distances.gaussian(self.real)

    def _fidelity(self, p: np.ndarray, labels: np.ndarray) -> dict:
        found = class_fidelity.class_fidelity(p, labels)
        of = found["class_fidelity_per_class"]
        of = {k: v["mean"] for k, v in zip(self.class_names, of, strict=True) if v is not None}
        return {"class_fidelity": found["class_fidelity"]["mean"], "class_fidelity_of": of}

    def _shares(self, p: np.ndarray) -> dict[str, float]:
        counts = np.bincount(p.argmax(-1), minlength=len(self.class_names))
        return dict(zip(self.class_names, (counts / len(p)).tolist(), strict=True))


def absent(share: dict[str, float], real: dict[str, float]) -> list[str]:
    """Classes of which there are less than a tenth of what there are among real images."""
    return [name for name, value in share.items() if value < ABSENT * real.get(name, 0.0)]


class Alarms(keras.callbacks.Callback):
    """Warns, once for each kind, of what has gone wrong three times in a row.

    That is in three looks at samples, or three epochs of what each epoch tells. Those that end in
    the first 500 steps do not count.

    - The generator has collapsed: no more than 2% of its samples are distinct (or it knows a single
      image or, of a conditional model, no more than two a class), and half as many as of real
      images; or of 2-D toy data a tenth or more are good, and all of these lie in one mode.
    - D has won: D(x) > 0.99 (of its target) and D(G(z)) < 0.01 on average over an epoch, where they
      are probabilities; V above a fiftieth of its value at the equilibrium, where D plays with
      hinges or least squares, in which V is at most 0. The Wasserstein game has no such end.
    - A class is (nearly) absent from the samples of an unconditional model, or never seen where a
      conditional one is asked for it; or a mode of 2-D toy data is not covered. A young generator
      often finds them later by itself: until half of the epochs are done only those count that were
      there before.

    Loss and weights that are not finite stop a run elsewhere (`StopWhenDiverged`, `Checkpoint`).
    """

    def __init__(
        self,
        stop_on_collapse: bool = False,
        num: int = NUM_SAMPLES,
        past: Sequence[dict] = (),
        first_epoch: int = 1,
        grown: float = 0,
    ):
        """Alarms of a run.

        Args:
          stop_on_collapse: whether the first alarm of that kind is the end of the run.
          num: how many samples `Samples` looks at.
          past: the logs of epochs done before: a run that goes on counts as a whole one does.
          first_epoch: whose look counts.
          grown: the epochs after which a class that was never there is missing.
        """
        super().__init__()
        self.stop_on_collapse, self.num, self.past = stop_on_collapse, num, past
        self.first_epoch, self.grown = first_epoch, grown
        self.in_a_row = {}
        self.found = set()  # classes that were there
        self.most_modes = 0  # that were covered
        self.said = set()

    def on_train_begin(self, logs=None):
        """Counts what was seen, and said, before."""
        for record in self.past:
            self.said |= set(self._seen(record["epoch"] - 1, record))
        self.past = ()

    def on_epoch_end(self, epoch, logs=None):
        """Comes after what keeps the logs, and before this epoch's checkpoint is written.

        Raises:
          Collapsed: where that is asked for.
        """
        for kind, line in self._seen(epoch, logs).items():
            line = f"epoch {epoch + 1}: {line}"
            if kind == "collapse" and self.stop_on_collapse:
                raise Collapsed(line)
            if kind not in self.said:
                self.said.add(kind)
                print(f"\nwarning: {line}.", file=sys.stderr, flush=True)

    def _seen(self, epoch, logs) -> dict[str, str]:
        """What has gone wrong often enough by this epoch: kind -> what it means."""
        found = {}
        if epoch + 1 < self.first_epoch:
            return found
        for kind, (seen, said) in self._collapsed(logs).items():
            if self._again(kind, seen):
                found["collapse"] = (
                    f"the generator has collapsed: {said}. Usually the discriminator is far ahead, "
                    "or steps are too large: try smaller --learning_rate and "
                    "--discriminator_learning_rate, another --loss or another --seed"
                )
        if self._again("won", "d_real" in logs and self._won(logs)):
            found["won"] = (
                "the discriminator has won: it tells real images from samples nearly without fail "
                f"(D(x) = {logs['d_real']:.4f}, D(G(z)) = {logs['d_fake']:.4f}), and the generator "
                "learns little from one that is so sure. Try a smaller "
                "--discriminator_learning_rate, another --loss, --penalty=r1, or a smaller "
                "discriminator"
            )
        for figure, where, also in (
            ("class_share", "among the samples", " or a conditional model"),
            ("class_fidelity_of", "where it is asked for", ""),
        ):
            if (share := logs.get(f"val_{figure}")) is None:
                continue
            missing = absent(share, logs[f"floor_{figure}"])
            self.found |= share.keys() - set(missing)
            gone = [k for k in share if self._again(f"absent {k}", k in missing)]
            if names := [k for k in gone if epoch + 1 > self.grown or k in self.found]:
                found["absent"] = (
                    f"the generator drops classes: there is hardly any {', '.join(names)} {where} "
                    f"(see {figure}). More epochs may bring it back; else try smaller steps, "
                    f"another --seed{also}"
                )
        modes = self.model.num_classes
        covered = logs.get("modes_covered", modes)
        self.most_modes = max(self.most_modes, covered)
        fewer = epoch + 1 > self.grown or covered < self.most_modes
        if self._again("modes", covered < modes) and fewer and "collapse" not in found:
            found["absent"] = (
                f"the generator drops modes: its samples cover {covered:.0f} of {modes}. More "
                "epochs may bring the others; else try another --seed or --loss, or a --penalty"
            )
        return found

    def _won(self, logs) -> bool:
        if self.model.probabilistic:
            return logs["d_real"] > self.model.real_target - SURE and logs["d_fake"] < SURE
        equilibrium = self.model.equilibrium
        return equilibrium < 0 and logs["value"] > 2 * SURE * equilibrium

    def _collapsed(self, logs) -> dict[str, tuple[bool, str]]:
        """By kind whether it looks so, and what is seen; an epoch without a look tells nothing."""
        found = {}
        if "modes_covered" in logs:  # counted in every epoch
            found["one mode"] = (
                logs["modes_covered"] == 1 and logs["high_quality"] >= GOOD,
                "all samples that are good lie in one mode",
            )
        if "val_distinct" not in logs:
            return found
        distinct, real = logs["val_distinct"], logs["floor_distinct"]
        if "modes_covered" in logs:  # points on a raster are often alike: beside real ones
            few = distinct <= COLLAPSED * real
        else:
            images = 2 * self.model.num_classes if self.model.conditional else 1
            # of few samples of many classes two a class are all that there can be
            few = distinct <= min(max(COLLAPSED, images / self.num), real / 2)
        said = f"nearly all samples are alike ({distinct:.1%} of them distinct; of real images "
        return {**found, "alike": (few, f"{said}{real:.1%})")}

    def _again(self, kind: str, seen: bool) -> bool:
        """Whether this has now been seen so often in a row."""
        self.in_a_row[kind] = self.in_a_row.get(kind, 0) + 1 if seen else 0
        return self.in_a_row[kind] >= PATIENCE
