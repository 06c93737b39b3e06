"""The encoder-decoder network learns, and is searched in many sources at once."""

import time
from typing import Any

import pytest
import torch

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.decoding import beam_search
from tests.models.encoder_decoder.small import END, START, network, stack


def test_it_learns_to_write_a_source_backwards() -> None:
    sizes: dict[str, Any] = {"source_vocab_size": 8, "target_vocab_size": 8, "embedding_size": 16, "feature_size": 32}
    model = network("general", encoder=stack(GRUCell, 24, bidirectional=True), decoder=stack(GRUCell, 32), **sizes)
    optimizer = torch.optim.Adam(model.float().train().parameters(), 0.01)
    for _ in range(100):
        source = torch.randint(4, 8, (32, 4))
        target = torch.cat([torch.full((32, 1), START), source.flip(1), torch.full((32, 1), END)], 1)
        loss = -model(source, target[:, :-1]).log_probs.gather(-1, target[:, 1:, None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = beam_search(model.eval().step, model.encode(source), start=target[:, 0], end=END, max_length=9, beam=3)
    assert [one.tokens for (one,) in found] == source.flip(1).tolist()


@pytest.mark.slow
def test_a_thousand_sources_at_once_are_found_ten_times_as_fast_as_one_by_one() -> None:
    sizes = {"source_vocab_size": 60, "target_vocab_size": 50, "embedding_size": 64, "feature_size": 64}
    parts = {"encoder": stack(LSTMCell, 64, bidirectional=True), "decoder": stack(LSTMCell, 128)}
    model = network("additive", **parts, **sizes).float()
    source, lengths = torch.randint(4, 60, (1000, 12)), torch.randint(3, 13, (1000,))

    def seconds(rows: int, at_once: int) -> float:
        begin = time.perf_counter()
        for part in torch.arange(rows).split(at_once):
            with torch.inference_mode():
                state = model.encode(source[part, : int(lengths[part].max())], lengths[part])
            start = torch.full_like(part, START)
            beam_search(model.step, state, start=start, end=END, max_length=20, beam=5, length_penalty=1.0)
        return time.perf_counter() - begin

    seconds(3, 1)
    assert seconds(1000, 1000) * 10 <= seconds(50, 1) * 20
