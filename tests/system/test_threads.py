"""Small networks use few threads, and the number of threads is restored."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from seqmodels.system.threads import SMALL, cpu_threads, threads_for
from seqmodels.training.fit import train
from tests.composing import TINY, composed


def test_a_small_network_gets_one_thread_and_a_large_one_what_torch_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    network = nn.Linear(3, 5, bias=False)
    assert threads_for(None, network, (SMALL - 1) // 15) == 1
    assert threads_for(None, network, SMALL // 15 + 1) == 7
    assert threads_for(4, network, 1) == 4


def test_threads_are_put_back_also_after_an_error() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), cpu_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_a_run_writes_down_how_many_it_used(tmp_path: Path) -> None:
    train(composed(tmp_path, "threads=2", "cell.hidden_size=5", "logger=none", *TINY))
    assert json.loads((tmp_path / "environment.json").read_text())["threads"] == 2
