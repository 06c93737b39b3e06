"""Drop-ins are timed beside the layers that they replace."""

import sys

import pytest


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")  # torch.nn.LSTM's
def test_every_kind_of_layer_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmark_drop_in import KINDS, main

    monkeypatch.setattr(sys, "argv", ["benchmark_drop_in.py", "--shapes", "3,2,5,8", "--seconds", "0.01"])
    main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == list(KINDS)
    assert all(float(row[2]) > 0 for row in rows)
