"""Sharpening a map by InfoNCE: its arithmetic beside torch's, and when it is used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.index.bridge import STEPS, BridgeReport, fit_bridge
from recsys.index.contrastive import Contrast, _gradient, sharpened
from recsys.index.held_out import HeldOut
from recsys.index.lens import fit_lens
from tests.recsys.index.test_sight import drawn, unit


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 12), st.integers(0, 1000), st.sampled_from([0.05, 0.2, 1.0]))
def test_the_gradient_is_torchs_own(n, seed, temperature):
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((n, 6)).astype(np.float32), unit(rng.standard_normal((n, 4)))
    matrix = rng.standard_normal((6, 4)).astype(np.float32)
    learned = torch.tensor(matrix, requires_grad=True)
    crossed = torch.nn.functional.normalize(torch.tensor(images) @ learned, dim=1)
    scores, own = crossed @ torch.tensor(texts).T / temperature, torch.arange(n)
    loss = torch.nn.functional.cross_entropy(scores, own) + torch.nn.functional.cross_entropy(scores.T, own)

    (loss / 2).backward()

    assert np.allclose(_gradient(matrix, images, texts, temperature), learned.grad, atol=1e-4)


@pytest.mark.parametrize("hard", [0.0, 0.5])
def test_sharpening_brings_pictures_nearer_to_their_own_text_than_to_others(hard):
    rng = np.random.default_rng(0)
    images, texts = rng.standard_normal((200, 20)).astype(np.float32), unit(rng.standard_normal((40, 10)))
    groups = np.arange(200) % 40
    start = (rng.standard_normal((20, 10)) * 0.1).astype(np.float32)
    images += texts[groups] @ rng.standard_normal((10, 20)).astype(np.float32)

    matrix = sharpened(start, images, texts[groups], groups, Contrast(rate=0.03, decay=0, batch=32, hard=hard))

    before, after = (HeldOut.of(unit(images @ of) @ texts.T, groups) for of in (start, matrix))
    assert after.reciprocal_rank > before.reciprocal_rank + 0.3
    assert after.precision > before.precision + 0.2


def test_one_pull_back_to_the_start_holds_the_map_there():
    rng = np.random.default_rng(0)
    images, texts, start = rng.standard_normal((50, 6)), unit(rng.standard_normal((50, 4))), rng.standard_normal((6, 4))
    how = Contrast(batch=16, least_steps=300)
    free, held = (
        sharpened(*(array.astype(np.float32) for array in (start, images, texts)), np.arange(50), replace(how, decay=d))
        for d in (0.0, 100.0)
    )

    assert np.abs(held - start).max() < np.abs(free - start).max() / 5


def test_marks_of_held_out_pairs_are_those_counted_by_hand():
    # Three pictures, the first two of text 0. Picture 1 finds text 1 first; text 0 finds picture 0, 2, 1.
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.7]], np.float32)

    held = HeldOut.of(scores, np.array([0, 0, 1]))

    assert held.ranks.tolist() == [1, 2, 1]
    assert held.reciprocal_rank == pytest.approx(2.5 / 3)
    precisions = [(1 / 1 + 2 / 3) / 2, 1 / 2]
    assert held.precision == pytest.approx(np.mean(precisions))
    assert held.by_text == pytest.approx([(0.75 + precisions[0]) / 2, (1 + precisions[1]) / 2])
    assert held.by_chance == pytest.approx(0.75)


def report(*gains):
    before = HeldOut(np.ones(1, np.intp), np.full(len(gains), 0.5, np.float32), 0.5)
    after = replace(before, by_text=before.by_text + np.array(gains, np.float32))
    return BridgeReport(10, 1.0, before, after)


def test_a_sharpened_map_is_used_only_where_its_gain_is_beyond_noise():
    assert report(0.1, 0.2, 0.1, 0.15).is_sharpened
    assert not report(0.4, -0.2, 0.3, -0.25).is_sharpened
    assert not report(0.0, 0.0, 0.0).is_sharpened
    assert not report(-0.1, -0.1, -0.12).is_sharpened
    assert report(0.1, 0.2).in_use.by_text[1] == pytest.approx(0.7)


def test_where_pairs_are_linear_the_ridge_stays():
    images, texts = drawn(300, noise=0.1)

    bridge = fit_bridge(images, texts, fit_lens(images.mean(axis=0), []))

    assert bridge is not None
    assert bridge.report.sharpened is not None
    assert not bridge.report.is_sharpened


def test_each_step_of_a_fit_is_told():
    images, texts = drawn(100, noise=0.1)
    told = []

    fit_bridge(images, texts, fit_lens(images.mean(axis=0), []), told.append)

    assert len(told) == STEPS
