"""The examples of the README work as printed."""

import re
from collections.abc import Callable
from pathlib import Path

from omegaconf import OmegaConf

from seqmodels.cells import ALL_CELLS
from seqmodels.commands.cells import options
from seqmodels.config.build import target_of
from tests.conftest import Answer

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_cell_of_the_readme_runs_and_trains_from_the_command_line(
    command: Callable[..., Answer], tmp_path: Path
) -> None:
    (source,) = blocks("python")
    (tmp_path / "mycells.py").write_text(source, encoding="utf-8")
    (arguments,) = re.findall(r"^seqmodels (train cell._target_=.*)$", README, flags=re.MULTILINE)
    tiny = [
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        "logger=none",
        "cell.hidden_size=5",
        "baselines=false",
    ]
    done = command(*arguments.split(), *tiny)
    assert done.status == 0, done.err[-2000:]
    assert "test/accuracy" in done.out


def test_the_table_lists_every_cell_with_its_configuration() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", README, flags=re.MULTILINE))
    configured = {(target_of(OmegaConf.load(path)).__name__, path.stem) for path in options()}
    assert rows == configured
    assert {name for name, _ in rows} == {cell.__name__ for cell in ALL_CELLS}


def test_its_commands_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"make (\w+)", README)) <= targets
    assert {"train", "test", "format", "clean"} <= targets
