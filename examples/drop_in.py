"""A drop-in for torch.nn: one import changes, and a model with nn.LSTM or nn.GRU computes the same on other kernels."""

# %% A model as it was written for torch: `nn` is the import that changes
import time
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import seqmodels.nn


def tagger(nn: ModuleType) -> Any:
    """Return a model made of the layers of ``nn``: ``torch.nn``, or ``seqmodels.nn``."""

    class Tagger(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(50, 24)
            self.encoder = nn.LSTM(24, 32, num_layers=2, dropout=0.2, bidirectional=True, batch_first=True)
            self.decoder = nn.GRU(64, 32, batch_first=True)
            self.scores = nn.Linear(32, 5)

        def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
            packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
            encoded, _ = self.encoder(packed)
            _, h = self.decoder(encoded)
            return self.scores(h[-1])

    return Tagger()


# %% A checkpoint of the old model loads into the new one, which answers the same, and learns the same
torch.manual_seed(0)
theirs, ours = tagger(torch.nn).eval(), tagger(seqmodels.nn).eval()
ours.load_state_dict(theirs.state_dict())
tokens, lengths = torch.randint(50, (16, 30)), torch.randint(1, 31, (16,))
torch.testing.assert_close(ours(tokens, lengths), theirs(tokens, lengths))
for model in (theirs, ours):
    torch.nn.functional.cross_entropy(model(tokens, lengths), tokens[:, 0] % 5).backward()
for (name, weight), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
    torch.testing.assert_close(weight.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")
print("the same answers and gradients, of", len(list(ours.parameters())), "parameters")

# %% How long a training step takes; larger sizes gain more
for name, nn in {"torch.nn": torch.nn, "seqmodels.nn": seqmodels.nn}.items():
    gru, x = nn.GRU(64, 128), torch.randn(100, 16, 64)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        gru(x)[0].sum().backward()
        seconds.append(time.perf_counter() - began)
    print(f"{name}.GRU: {1e3 * min(seconds):.1f} ms")
