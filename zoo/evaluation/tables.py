"""Tables in Markdown, of figures with their standard errors."""

from typing import Any

FIGURES = (  # key in the record's samples, heading, digits
    ("fid", "FID", 2),
    ("kid", "KID x 1000", 2),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("density", "density", 3),
    ("coverage", "coverage", 3),
    ("inception_score", "classifier score", 2),
    ("class_fidelity", "class fidelity", 3),
    ("classes_covered", "classes covered", 0),
    ("kl_to_uniform_nats", "KL to uniform classes, nats", 3),
    ("cas", "CAS", 3),
    ("distinct", "distinct", 3),
    ("nearest_training_distance", "nearest training image", 2),
    ("copies", "copies", 3),
    ("sharpness", "sharpness", 4),
    ("parzen_nats", "Parzen window, nats", 1),
    ("acceptance", "accepted steps of chains", 3),
    ("network_calls", "network calls an image", 0),
    ("samples_per_second", "samples a second", 0),
)


def cells(part: dict[str, Any], shown) -> list[str]:
    """Figures with their standard errors, "" for those that are missing.

    Args:
      part: name of a figure -> its `mean` and `standard_error`.
      shown: key, heading and digits of each.
    """
    found = []
    for key, head, digits in shown:
        scale = 1000 if head.endswith("x 1000") else 1
        if key in part:
            mean, error = part[key]["mean"], part[key]["standard_error"]
            text = f"{scale * mean:.{digits}f}"
            found.append(text + (f" ± {scale * error:.{digits}f}" if error is not None else ""))
        else:
            found.append("")
    return found


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    line = lambda row: "| " + " | ".join(row) + " |"  # noqa: E731
    return [line(heads), "|" + "---|" * len(heads), *map(line, rows)]
