"""What behaviour adds to what is like a product: `python -m benchmarks.search_similar [--pages N]`.

A shop's real log (UCI Online Retail), the first 90 % of the events learned: each later product that a user did not have
is looked for among ten products like the one that the user took before it. Content alone would be a weight of 0; what
goes together alone is `kind=complement`.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import threadpoolctl

from benchmarks.search_ranking import DATA, NAMES, rows_of, stocked
from encoders.choose import text_encoder
from gateway.cli.evaluate import freshet, read_clicks
from recsys.evaluation.order import Protocol, arrange
from recsys.search import SearchHit, similar
from recsys.search_ranking import CONSIDERED
from recsys.together import alike, complements
from streams.settings import read_settings

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
CUT = 10


def pages(n_pages: int) -> Iterator[tuple[list[bool], list[float]]]:
    """Which lists hold the product taken next, and what share of each is also among the ten most alike in content."""
    clicks, _ = read_clicks(DATA / "events.csv.xz", NAMES, None)
    protocol = Protocol(shuffle=0)
    log = arrange(clicks, protocol)
    titles = {row["item"]: row["text"] for row in rows_of("items.csv.xz")}
    encoder = text_encoder("bundled")
    assert encoder is not None
    catalogue = stocked(titles, clicks, encoder.encode(list(titles.values())))
    ours = freshet(read_settings(), protocol, [])
    learner, last = ours.learner, dict[str, str]()
    begin = int(0.9 * log.n_events)
    asked = set(np.random.default_rng(0).choice(np.arange(begin, log.n_events), n_pages, replace=False).tolist())
    for number, (click,) in enumerate(log.groups):
        page = last.get(click.user_id, "")
        if number in asked and page in catalogue and click.item_id in catalogue:
            learner.look()
            hits = similar(catalogue, page, CONSIDERED)
            lists = [alike(hits, CUT, page, learner.views, weight) for weight in WEIGHTS]
            lists.append(complements(page, CUT, learner.views, catalogue))
            found = [_ids(of) for of in lists]
            yield [click.item_id in ids for ids in found], [len(ids & found[0]) / CUT for ids in found]
        last[click.user_id] = click.item_id
        ours.learn(click, 0)


def _ids(hits: list[SearchHit]) -> set[str]:
    return {hit.item_id for hit in hits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=3_000)
    with threadpoolctl.threadpool_limits(1):
        made = list(pages(parser.parse_args().pages))
    hit, same = (np.mean([page[part] for page in made], axis=0) for part in (0, 1))
    print(f"\n{len(made):,} pages\n\n| weight of going together | taken next is among ten | of the ten most alike |")
    print("| --- | ---: | ---: |")
    for name, one, other in zip([*map(str, WEIGHTS), "complement"], hit, same, strict=True):
        print(f"| {name} | {one:.3f} | {other:.2f} |")


if __name__ == "__main__":
    main()
