"""Published results: what is run, what is kept, what is chosen, and what the tables say."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqmodels.config.compose import compose
from tests.conftest import Answer
from tests.scripts.conftest import SCRIPTS  # noqa: F401  (puts the scripts where they are found)


def made(mse: float, validation: float) -> dict[str, Any]:
    naive = {"test/seasonal_naive_mse": 0.512, "test/seasonal_naive_mae": 0.433}
    return {
        "metrics": {"test/mse": mse, "test/mae": mse / 2, "parameters": 1234, "seconds": 90.0, **naive},
        "validation": {"val/mse": validation, "val/loss": 0.0},
        "threads": 1,
        "date": "2026-01-02",
        "machine": "2 cores, torch 2",
    }


def test_the_candidate_is_chosen_by_validation_data_alone() -> None:
    from tabulating import segrnn

    first, second, third = segrnn.CANDIDATES
    setting = segrnn.Setting("ETTh1", 96, 192)
    known = {
        setting.command(first, 1): made(mse=0.1, validation=0.7),
        setting.command(second, 1): made(mse=0.9, validation=0.5),
        setting.command(third, 1): made(mse=0.2, validation=0.6),
    }
    assert segrnn.chosen("ETTh1", 96, known) == second
    assert segrnn.chosen("ETTh1", 720, known) is None
    assert "| 0.9 | 0.45 | 0.408 / 0.419 |" in segrnn.table(96, known)


def test_candidates_are_compared_on_the_runs_that_all_of_them_have() -> None:
    from tabulating import segrnn

    first, second, third = segrnn.CANDIDATES
    easy, hard = segrnn.Setting("ETTh1", 96, 96), segrnn.Setting("ETTh1", 96, 720)
    known = {easy.command(candidate, 1): made(0.4, 0.5) for candidate in (first, second)}
    assert segrnn.chosen("ETTh1", 96, known) is None  # nothing is known of the third
    known[easy.command(third, 1)] = made(0.4, 0.6)
    known[hard.command(first, 1)] = made(0.9, 5.0)
    known[easy.command(second, 1)] = made(0.4, 0.51)
    assert segrnn.chosen("ETTh1", 96, known) == first


def test_each_table_has_the_figures_published_for_its_length_of_input() -> None:
    from tabulating import segrnn

    settings = [segrnn.Setting("ETTh1", look_back, 96) for look_back in (96, 720)]
    settings.append(segrnn.Setting("ETTh2", 720, 96))
    known = {setting.command(candidate, 2): made(0.36, 0.5) for setting in settings for candidate in segrnn.CANDIDATES}
    row96, row720, unknown = (segrnn.table(96, known) + "\n" + segrnn.table(720, known)).splitlines()[2:3] + (
        segrnn.table(720, known).splitlines()[2:]
    )
    assert row96.startswith("| ETTh1 | 96 | 96 | 0.36 | 0.18 | 0.368 / 0.395 | 0.512 / 0.433 |")
    assert row720.startswith("| ETTh1 | 720 | 96 | 0.36 | 0.18 | 0.351 / 0.392 |")
    assert "| not known |" in unknown
    assert segrnn.measured_on(known) == "2026-01-02, 2 cores, torch 2"


def test_every_setting_of_the_tables_is_a_configuration() -> None:
    from tabulating import segrnn

    for candidate in segrnn.CANDIDATES:
        for setting in (segrnn.Setting("ETTh1", 96, 96), segrnn.Setting("ETTm1", 720, 336)):
            config = compose("train", setting.command(candidate, 7).split()[2:])
            assert (config.data.name, config.seed) == (setting.series, 7)
            assert (config.data.input_length, config.data.horizon) == (setting.look_back, setting.horizon)
            assert config.cell.hidden_size == int(candidate.split()[0])


def test_all_runs_of_a_seed_come_before_the_next_seed_and_none_twice() -> None:
    from tabulating import segrnn

    commands = list(segrnn.commands(["ETTh1"]))
    assert len(set(commands)) == len(commands) == 3 * 3 * 8
    assert [command.rpartition("=")[2] for command in commands] == ["1"] * 24 + ["2"] * 24 + ["3"] * 24


def test_the_main_table_shares_its_runs_with_those_of_segrnn() -> None:
    from results import ROWS
    from tabulating import segrnn

    rows = [row for row in ROWS if row.experiment.startswith("ett")]
    assert {row.command(1) for row in rows} == {
        segrnn.Setting("ETTh1", look_back, 96).command("128 units", 1) for look_back in (96, 720)
    }
    assert {row.command(1) for row in rows} < set(segrnn.commands(["ETTh1"]))


def test_a_run_is_known_by_its_command_with_the_validation_of_its_best_epoch(
    command: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tabulating import runs

    words = ["experiment=digits_lstm", "cell.hidden_size=5", "trainer.limit_train_batches=2", "trainer.max_epochs=3"]
    line = ["train", *words, "seed=3", "logger=csv", "trainer=cpu", f"paths.output_dir={tmp_path}/run"]
    monkeypatch.setattr(sys, "argv", ["seqmodels", *line])
    assert command(*line).status == 0
    ((name, found),) = runs.taken([tmp_path / "run"]).items()
    assert name == "seqmodels " + " ".join(["train", *words, "seed=3"])
    losses = [
        float(row.split(",")[index])
        for header, *rows in [(tmp_path / "run" / "metrics.csv").read_text().splitlines()]
        for index in [header.split(",").index("val/loss")]
        for row in rows
        if row.split(",")[index]
    ]
    assert len(losses) == 3
    assert found["validation"]["val/loss"] == min(losses)
    assert "cores, torch" in found["machine"]
    runs.save({name: found}, tmp_path / "store.json")
    assert runs.taken([tmp_path / "store.json"]) == {name: found}


def test_what_ended_is_kept_when_others_fail_or_run_out_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tabulating import runs

    def run(command: str, words: Any, deadline: float | None) -> dict[str, Any]:
        assert words == ["trainer=gpu"]
        if "bad" in command:
            raise subprocess.CalledProcessError(2, command)
        return made(0.5, 0.5)

    store = tmp_path / "runs.json"
    runs.save({"old": made(0.1, 0.1)}, store)
    monkeypatch.setattr(runs, "run", run)
    assert runs.run_all(["good", "bad", "better"], store, jobs=2, words=["trainer=gpu"]) == ["bad"]
    assert set(json.loads(store.read_text())) == {"old", "good", "better"}
    assert "bad: " in capsys.readouterr().out
    monkeypatch.undo()
    assert runs.run_all(["seqmodels train"], store, minutes=0) == ["seqmodels train"]  # nothing is started


def test_what_another_script_stores_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tabulating import runs

    store = tmp_path / "runs.json"

    def run(*_: Any) -> dict[str, Any]:
        runs.save({"of another script": made(0.1, 0.1)}, store)
        return made(0.5, 0.5)

    monkeypatch.setattr(runs, "run", run)
    assert runs.run_all(["own"], store) == []
    assert set(json.loads(store.read_text())) == {"of another script", "own"}


def test_words_that_may_change_a_result_are_refused(tmp_path: Path) -> None:
    from tabulating import runs

    with pytest.raises(ValueError, match=r"trainer\.max_epochs=1 may change a result"):
        runs.run_all([], tmp_path / "runs.json", words=["trainer=gpu", "trainer.max_epochs=1"])


def test_the_script_reads_runs_and_writes_no_page_for_another_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import results_segrnn as script
    from tabulating import runs, segrnn

    page = tmp_path / "results.md"
    page.write_text("before\n<!-- segrnn -->\nold\n<!-- end of segrnn -->\nafter\n")
    monkeypatch.setattr(script, "PAGE", page)
    known = {segrnn.Setting("ETTh1", 96, 96).command(name, 1): made(0.37, 0.5) for name in segrnn.CANDIDATES}
    runs.save(known, tmp_path / "new.json")
    for store in ("other.json", "kept.json"):
        monkeypatch.setattr(script, "STORE", tmp_path / "kept.json")
        monkeypatch.setattr(
            sys, "argv", ["script", "--read", str(tmp_path / "new.json"), "--store", str(tmp_path / store)]
        )
        assert script.main() == 0
        assert ("0.368 / 0.395" in page.read_text()) == (store == "kept.json")
    assert page.read_text().startswith("before\n<!-- segrnn -->\n\n| series |")
    assert page.read_text().endswith("<!-- end of segrnn -->\nafter\n")
