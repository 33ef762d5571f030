"""Weights of picture, text and words where all are searched by: `python -m benchmarks.search_fusion`.

Photos of groceries (validation) with the name of their category, of their department, or their title; products with
their studio picture alone, or with four photos more. Recall@1 of the right one of 81, the mean reciprocal rank, by the
weight of the text's cosine beside the picture's and by what holding all words adds.
"""

import numpy as np

from benchmarks.search_marks import Marks, Picture, Shop
from recsys.catalogue import Catalogue
from recsys.index.aim import total
from recsys.running_mean import RunningMean
from recsys.search import FUSED_WEIGHTS, WORDS_BESIDE_A_PICTURE, WORDS_WEIGHT
from streams.agents.content import text_of

TEXT_WEIGHTS = (0.0, 0.1, FUSED_WEIGHTS["text"], 0.4, 0.5, 0.6)
WORDS_WEIGHTS = (WORDS_BESIDE_A_PICTURE, WORDS_WEIGHT)
MORE_PHOTOS = 4


def said(shop: Shop, photo: Picture) -> dict[str, str]:
    names = [name.replace("-", " ") for name in photo.category]
    return {"category": names[-1], "department": names[0], "title": shop.products[photo.item_id].title}


def marks(shop: Shop, catalogue: Catalogue, kind: str) -> dict[tuple[float, float], Marks]:
    """By text weight and words weight."""
    photos, mean = shop.pictures["val"], RunningMean()
    texts = [said(shop, photo)[kind] for photo in photos]
    vectors = dict(zip(sorted(set(texts)), shop.texts(sorted(set(texts))), strict=True))
    ranks: dict[tuple[float, float], list[int]] = {}
    assert catalogue.sight is not None
    for at in np.random.default_rng(0).permutation(len(photos)):
        photo, text, origins = photos[at], texts[at], {}
        if photo.is_photo:
            mean.add(photo.vector)
            origins = {"image": mean.value(catalogue.sight.lens.mean)}
        plan = catalogue.plan(text=text)
        rows = np.arange(len(plan.index.ids))
        by_text = total(plan.index.aims({"text": vectors[text]}), rows)
        by_picture = total(plan.index.aims({"image": photo.vector}, origins=origins), rows)
        words = np.zeros(len(rows), dtype=np.float32)
        words[plan.word_rows] = plan.word_scores
        own = plan.index.ids.row(photo.item_id)
        for text_weight in TEXT_WEIGHTS:
            for words_weight in WORDS_WEIGHTS:
                scores = text_weight * by_text + (1 - text_weight) * by_picture + words_weight * words
                ranks.setdefault((text_weight, words_weight), []).append(int((scores > scores[own]).sum()) + 1)
    return {weights: Marks(np.array(found)) for weights, found in ranks.items()}


def main() -> None:
    shop = Shop(2_000)
    texts = {item_id: text_of(product) for item_id, product in shop.products.items()}
    icons = shop.pictures["iconic"]
    print("| products with | a photo and its | words add | text's weight: R@1 / MRR |")
    print("| --- | --- | ---: | --- |")
    for n_more in (0, MORE_PHOTOS):
        more = {i.item_id: [p.data for p in shop.pictures["train"] if p.item_id == i.item_id][:n_more] for i in icons}
        catalogue = shop.catalogue({icon.item_id: [icon.data, *more[icon.item_id]] for icon in icons}, texts)
        for kind in ("category", "department", "title"):
            found = marks(shop, catalogue, kind)
            for words_weight in WORDS_WEIGHTS:
                figures = [
                    f"{weight:g}: {(found[weight, words_weight].ranks <= 1).mean():.3f} / "
                    f"{(1 / found[weight, words_weight].ranks).mean():.3f}"
                    for weight in TEXT_WEIGHTS
                ]
                print(f"| {1 + n_more} pictures | {kind} | {words_weight:g} | {', '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
