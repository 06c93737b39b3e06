"""``--help`` prints every command, and every group and option with each key and the comment that its file has."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.cli import COMMANDS, run
from seqmodels.config.compose import config_folder
from seqmodels.config.help.keys import Key, read_keys
from seqmodels.config.help.printing import help_text
from tests.conftest import Answer

CONFIGS = config_folder()
FILES = sorted(
    path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml") if len(path.relative_to(CONFIGS).parts) > 1
)
SHOWN = [file for file in FILES if not any(part.startswith("_") or part == "local" for part in file.parts)]


def written(file: Path) -> dict[str, str]:
    """Return the last names of the keys of a file and their comments, read line by line."""
    lines = (CONFIGS / file).read_text("utf-8").splitlines()
    found = [re.match(r" *([\w.]+): *([^#]*?)(?:  # (.*))?$", line) for line in lines]
    keys = {match[1]: match[3] or "" for match in found if match}
    for match in found:  # {a: 1, b: 2}
        keys |= dict.fromkeys(re.findall(r"(\w+): ", match[2]) if match and match[2].startswith("{") else [], "")
    return {key: text for key, text in keys.items() if key not in ("defaults", "_partial_")}


def options() -> dict[str, list[str]]:
    """Return the options of every group."""
    groups = sorted({str(file.parent) for file in SHOWN})
    return {group: [file.stem for file in SHOWN if str(file.parent) == group] for group in groups}


def test_every_group_lists_its_options_as_their_files_describe_them() -> None:
    groups = [group for group in options() if not group.startswith("hydra")]
    listed = help_text("sweep", ["--help", *groups]).splitlines()
    for file in [file for file in SHOWN if str(file.parent) in groups]:
        (row,) = [line for line in listed if line.split()[:1] == [f"{file.parent}={file.stem}"]]
        lines = (CONFIGS / file).read_text("utf-8").removeprefix("# @package _global_\n").splitlines()
        comment = lines[0].removeprefix("# ")
        assert (comment.partition("  -> ")[2] or comment) in row or not lines[0].startswith("#")


EXCLUSIVE = ("debug", "experiment", "likelihood")  # not beside every option of other groups
ALONE = [[(group, option)] for group in EXCLUSIVE for option in options()[group]]
TOGETHER = [
    [(group, names[turn]) for group, names in options().items() if turn < len(names) and group not in EXCLUSIVE]
    for turn in range(len(options()["data"]))
]


@pytest.mark.parametrize("chosen", ALONE + TOGETHER, ids=lambda chosen: "=".join(chosen[0]))
def test_every_option_prints_its_keys_and_the_comments_of_its_file(chosen: list[tuple[str, str]]) -> None:
    """Several options are printed at a time."""
    printed = help_text("sweep", ["--help", *(f"{group}={option}" for group, option in chosen)])
    starts = [f"\n{printed}".index(f"\n{group}={option}") for group, option in chosen]  # others may name it, too
    for (group, option), start, end in zip(chosen, starts, [*starts[1:], None], strict=True):
        lines = printed[start:end].splitlines()
        text = (CONFIGS / group / f"{option}.yaml").read_text("utf-8")
        place = "" if text.startswith("# @package _global_") else group.replace("/", ".")
        for key, comment in written(Path(group, f"{option}.yaml")).items():
            name = re.compile(rf"(^|[ .{{]){re.escape(key)}[ .:]")
            assert any(name.search(line) and comment in line and place in line for line in lines), (group, option, key)


def test_shared_keys_and_their_comments_are_those_of_the_included_files(command: Callable[..., Answer]) -> None:
    done = command("train", "--help", "data=csv_series", "cell=gru", "trainer=ddp")
    assert (done.status, done.err) == (0, "")
    blocks = [block.splitlines() for block in done.out.split("\n\n")]
    titles, tables = blocks[::2], blocks[1::2]
    assert [title[0].partition(":")[0] for title in titles] == ["data=csv_series", "cell=gru", "trainer=ddp"]
    assert titles[0][1] == "chooses task=forecasting"
    rows = {row.split()[0]: re.split(r"  +", row.strip()) for table in tables for row in table}
    assert rows["data.path"] == ["data.path", "required", "the file, plain or .gz"]
    assert next(iter(rows)) == "data.path", "what must be given comes first"
    assert rows["data.seed"][1:] == ["follows seed", "for the order of batches; data_seed is for the data themselves"]
    assert rows["data.split"][1:] == ["[0.7, 0.1, 0.2]", "fractions of the steps, or numbers of steps"]
    assert rows["trainer.accelerator"][1] == "gpu"
    assert rows["trainer.gradient_clip_algorithm"][1:] == ["norm", "norm or value"]
    assert rows["trainer.strategy.timeout"][1] == "1800"
    assert not [name for name in rows if "_partial_" in name or "defaults" in name]


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_its_help(name: str, flag: str, command: Callable[..., Answer], tmp_path: Path) -> None:
    done = command(name, flag)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"seqmodels {name}")
    assert command("help", name).out == done.out
    assert not list(tmp_path.iterdir())
    for key in read_keys(path.read_text("utf-8")) if (path := CONFIGS / f"{name}.yaml").is_file() else []:
        row = next(line for line in done.out.splitlines() if line.split()[:1] == [key.name])
        assert key.comment in row


def test_options_of_the_users_own_folders_are_shown(command: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "own" / "cell").mkdir(parents=True)
    text = "# mine\ndefaults: [gru]\n# wide by default\nhidden_size: 300\nrate: 0.5  # of what\n"
    (tmp_path / "own" / "cell" / "wide.yaml").write_text(text)
    for place in (["--config-dir", "own"], [f"hydra.searchpath=[file://{tmp_path}/own]"]):
        done = command("train", "--help", *place, "cell=wide", "cell")
        assert re.search(r"cell\.hidden_size +300 +wide by default\n", done.out)
        assert re.search(r"cell\.rate +0\.5 +of what\n", done.out)
        assert re.search(r"cell\._target_ +seqmodels\.cells\.GRUCell\n", done.out)
        assert re.search(r"  cell=wide +mine\n", done.out)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["trainer.max_epochs"], r"(?m)^  trainer\.max_epochs  null"),
        (["cell=gru", "cell=lstm"], r"(?s)cells\.GRUCell.*cells\.LSTMCell"),
        (["trainer=cpu", "callbacks.early_stopping"], r"(?m)^  callbacks\.early_stopping\.patience  +\d+"),
        (["logger=[csv,tensorboard]"], r"(?s)logger=csv.*logger=tensorboard"),
        (["likelihood=quantile"], r"likelihood\.levels  +\[0\.1, 0\.5, 0\.9\]"),
        (["experiment=ett_96"], r"(?m)^chooses .*data=ett"),
        (["paths=default"], r"paths\.data_dir  +\$SEQMODELS_DATA_DIR, else data"),
        (["debug=limit"], r"(?s)trainer\.max_epochs +3\n.*trainer\.limit_train_batches +5"),
    ],
)
def test_keys_and_further_options(words: list[str], answer: str) -> None:
    assert re.search(answer, help_text("train", ["--help", *words]))


def test_wrong_names_get_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words, hint in {
        "dat": "did you mean 'data'?",
        "data=csv": "csv_series",
        "cell.hiden_size": "cell.hidden_size",
    }.items():
        assert run(["train", "--help", words]) == 2
        assert hint in capsys.readouterr().err
    assert run(["predict", "--help", "trainer.max_epochs"]) == 2
    assert "seqmodels train --help" in capsys.readouterr().err


def test_comments_and_values_of_any_form_are_read() -> None:
    text = "\n".join(
        [
            "# the file",
            "a: '#1'  # one: [x], '#2'",
            "# above",
            "b: [1, 2,",
            "  3]  # behind",
            "c:",
            "  # inside",
            "  d: null",
            "  e: {f: 1.0, g: x}  # both",
            "h: {i.j: 2}",
            "k:",
        ]
    )
    assert read_keys(text, "p") == [
        Key("p.a", "'#1'", "one: [x], '#2'"),
        Key("p.b", "[1, 2, 3]", "above behind"),
        Key("p.c.d", "null", "inside"),
        Key("p.c.e.f", "1.0", ""),
        Key("p.c.e.g", "x", "both"),
        Key("p.h", "{i.j: 2}", ""),
        Key("p.k", "null", ""),
    ]
