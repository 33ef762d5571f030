"""A picture of how held-out pictures found their texts, by each map between the two."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.index.bridge import BridgeReport


def plot_ranks(report: "BridgeReport", path: Path) -> None:
    """Write which share of the held-out pictures has its text among the first k, by each map and by chance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    n_texts = report.held_out.n_texts
    places = np.arange(1, n_texts + 1)
    for name, held in (("ridge", report.held_out), ("InfoNCE", report.sharpened)):
        if held is not None:
            shares = [(held.ranks <= place).mean() for place in places]
            axes.plot(places, shares, label=f"{name} (MRR {held.reciprocal_rank:.3f})")
    axes.plot(places, places / n_texts, "k:", label="chance")
    axes.set(
        xlabel=f"first k of {n_texts} texts",
        ylabel="held-out pictures whose text is there",
        xscale="log" if n_texts > 50 else "linear",
        ylim=(0, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
