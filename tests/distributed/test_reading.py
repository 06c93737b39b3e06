"""Text is tokenised by one process; concurrent ones wait, and read its result."""

import sys
from pathlib import Path

import pytest

from tests.distributed.ranks import run_together

pytestmark = [pytest.mark.dist, pytest.mark.xdist_group("dist")]


@pytest.mark.long
def test_of_processes_that_start_at_once_one_tokenises(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("".join(f"line {number} of some text\n" for number in range(20_000)))
    command = [sys.executable, "-m", "tests.distributed.tokenizing", "3"]
    ended = run_together([command] * 3, tmp_path, [{}] * 3)
    assert [one.status for one in ended] == [0, 0, 0], ended[0].err
    assert len({one.out for one in ended}) == 1
    assert len((tmp_path / "learnt").read_text().splitlines()) == 1
    assert len(list((tmp_path / "tokens").glob("*.tokens"))) == 3
