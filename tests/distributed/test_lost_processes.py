"""A process that dies or hangs ends the run, with a corresponding status and message."""

from pathlib import Path

import pytest

from tests.distributed.faults import fault
from tests.distributed.ranks import SEQMODELS, TINY, run

pytestmark = [pytest.mark.dist, pytest.mark.xdist_group("dist")]
RUN = [*SEQMODELS, "train", "trainer=ddp_sim", *TINY, "test=false", "hydra.run.dir=run"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("rank", "how", "seconds", "message"),
    [
        (1, "SIGKILL", 1800, "process 1 of 2 was killed by signal 9"),
        (1, "hang", 10, "has not answered for 10 s"),
        (0, "hang", 10, "process 1 of 2 ended with status 1"),
    ],
)
def test_a_lost_process_ends_the_run_and_is_named(
    rank: int, how: str, seconds: int, message: str, tmp_path: Path
) -> None:
    ended = run([*RUN, f"trainer.strategy.timeout={seconds}", *fault(rank, 1, how)], tmp_path)
    assert ended.status == 1
    assert message in ended.err
    assert "resume=" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.long
def test_the_others_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    ended = run([*RUN, *fault(0, 1, "SIGKILL")], tmp_path)  # it returns once nobody holds the pipes of its output
    assert ended.status == -9


@pytest.mark.long
def test_processes_that_are_asked_to_end_save_together_and_are_not_called_lost(tmp_path: Path) -> None:
    ended = run([*RUN, *fault(0, 1, "SIGTERM")], tmp_path)
    assert ended.status == 143
    assert "resume with: seqmodels train resume=" in ended.err
    assert "process 1" not in ended.err
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
