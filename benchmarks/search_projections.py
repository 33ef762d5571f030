"""The map between pictures and texts, by ridge regression and sharpened by InfoNCE, on products it has not seen.

81 groceries with 13 pictures each (`shared/data/grocery`), and 1,500 products of the sample shop with one; a fifth is
held out at a time. Printed are means over the held-out texts, and what InfoNCE brings on one with its standard error.
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from encoders.choose import image_encoder, text_encoder
from encoders.pictures import decode_picture
from gateway.demo.shop import OPENED_MS, sample_shop
from recsys.index.bridge import HELD_OUT, HOW, BridgeReport, Pairs
from recsys.index.held_out import HeldOut
from streams.agents.content import text_of
from streams.wire.product import read_product

DATA = Path(__file__).parents[2] / "shared" / "data" / "grocery"
N_SAMPLE = 1_500
SIDE = 256
RIDGES = {"groceries": (0.3, 1.0, 3.0), "sample shop": (0.3,)}
HOWS = {"in-batch": replace(HOW, hard=0.0), "half of a batch hard negatives": HOW}


def groceries() -> Pairs:
    with (DATA / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in ("iconic", "train")]
    texts = {row["class_id"]: f"{row['title']}. {row['description']}" for row in rows if row["split"] == "iconic"}
    return encoded([(DATA / row["image"]).read_bytes() for row in rows], [texts[row["class_id"]] for row in rows])


def sample() -> Pairs:
    products = list(sample_shop(0, N_SAMPLE))
    texts = [text_of(read_product(product.message, OPENED_MS)) for product in products]
    return encoded([product.picture() for product in products], texts)


def encoded(files: list[bytes], texts: list[str]) -> Pairs:
    image, text = image_encoder("bundled"), text_encoder("bundled")
    assert image is not None
    assert text is not None
    distinct = list(dict.fromkeys(texts))
    vectors = dict(zip(distinct, text.encode(distinct), strict=True))
    seen = np.concatenate([image.encode([decode_picture(file, SIDE)]) for file in files])
    return Pairs.of(seen, np.stack([vectors[own] for own in texts]))


def held_out(pairs: Pairs, ridge: float, how: str) -> HeldOut:
    """All fifths together."""
    order = np.random.default_rng(0).permutation(int(pairs.groups.max()) + 1)[pairs.groups]
    folds = []
    for fold in range(HELD_OUT):
        is_held = order % HELD_OUT == fold
        seen, held = pairs.cut(~is_held), pairs.cut(is_held)
        bridge = seen.ridge_map(ridge)
        folds.append(held.found_by(seen.sharpened_map(bridge, HOWS[how]) if how else bridge))
    ranks, by_text = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("ranks", "by_text"))
    return HeldOut(ranks, by_text, float(np.mean([fold.precision for fold in folds])))


def table(name: str, pairs: Pairs) -> None:
    for ridge in RIDGES[name]:
        plain = held_out(pairs, ridge, "")
        print(f"| {name} | ridge {ridge:g} | {plain.reciprocal_rank:.3f} | {plain.precision:.3f} | |", flush=True)
        for how in HOWS:
            report = BridgeReport(len(pairs.images), ridge, plain, held_out(pairs, ridge, how))
            assert report.sharpened is not None
            marks = f"{report.sharpened.reciprocal_rank:.3f} | {report.sharpened.precision:.3f}"
            print(f"| | and InfoNCE, {how} | {marks} | {report.gain:+.4f} ± {report.noise:.4f} |", flush=True)


def main() -> None:
    print("| pairs | map | picture → its text, MRR | text → its pictures, mAP | gain on a text |")
    print("| --- | --- | ---: | ---: | ---: |")
    table("groceries", groceries())
    table("sample shop", sample())


if __name__ == "__main__":
    main()
