"""A picture of an evaluation: how NDCG of each method went over the replay."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.evaluation.figures import Ranks

FORMATS = (".png", ".svg", ".pdf")
SHARE = 20
"""A point is the mean over a window of one in so many of the predicted events, 100 at least."""
FEWEST = 100
POINTS = 1_000
"""Of a line, so that a vector picture stays small."""


def check_plot(path: Path | None) -> None:
    """Raise ConfigError where a picture could not be made, before hours of work are lost."""
    if path is None:
        return
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path} must be named by its format: {', '.join(FORMATS)}.")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError("--plot takes the extra `plot`: pip install 'matplotlib>=3.11,<4'.") from error


def plot(path: Path, title: str, ranks: "Mapping[str, Ranks]") -> None:
    """Write the rolling NDCG@10 of each method, over the events in the order of their prediction."""
    import numpy as np
    from matplotlib.figure import Figure

    from recsys.evaluation.figures import column

    metric = "NDCG@10"
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    window = FEWEST
    for name, of_method in ranks.items():
        gains = column(of_method.ranks, metric)
        window = min(max(FEWEST, len(gains) // SHARE), max(1, len(gains)))
        means = np.convolve(gains, np.full(window, 1.0 / window), mode="valid")
        places = np.linspace(0, len(means) - 1, min(len(means), POINTS)).round().astype(np.intp)
        mean = gains.mean() if len(gains) else 0.0
        axes.plot(places + window, means[places], label=f"{name}: {mean:.4f}", linewidth=1.2)
    axes.set_title(title)
    axes.set_xlabel("events predicted")
    axes.set_ylabel(f"{metric}, mean of the last {window:,}")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
