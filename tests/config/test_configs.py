"""Every file under configs/ can be built, and its keys are exactly the arguments of the constructor."""

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from omegaconf import OmegaConf, open_dict

from seqmodels.cells import ALL_CELLS, Cell
from seqmodels.config.allowlist import nodes
from seqmodels.config.build import build, check, plain, target_of
from seqmodels.config.files import config_folder
from seqmodels.config.signatures import parameters_of
from seqmodels.data.sets import OWN_FILES
from seqmodels.errors import ConfigError
from seqmodels.training.callbacks import EpochLines
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import train
from seqmodels.training.trained import build_model
from tests.composing import TINY, composed

CONFIGS = config_folder()
EXTERNAL = {"wandb", "mlflow"}  # need packages of their own
SIZES = {"input_size": 4, "output_size": 3, "time": 7}


def options(group: str) -> list[str]:
    """Return the options of a group; ``own`` has no class before one is typed."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml") if path.stem != "own")


def test_every_cell_has_a_configuration() -> None:
    targets = {target_of(OmegaConf.load(CONFIGS / "cell" / f"{name}.yaml")) for name in options("cell")}
    assert targets == set(ALL_CELLS)


@pytest.mark.parametrize(
    "group",
    [
        *("attention", "cell", "initializer", "front", "top", "pooling", "scheduled_sampling", "vocabulary"),
        *("features", "data", "model", "task"),
    ],
)
def test_keys_are_the_keywords_of_the_constructor(group: str, tmp_path: Path) -> None:
    """All of them, so that each can be set without ``+``, except those from the data or other groups."""
    given = {"input_size", "vocab_size", "output_size", "time", "layer", "module", "device", "dtype"}
    given |= {"model", "optimizer", "scheduler", "params", "preprocessing"}
    given |= {"horizon", "known_size", "static_size", "season", "series", "names", "group", "keys", "time_style"}
    given |= {"target_names", "target_mean", "target_deviation", "character_vocab_size", "tag_names"}
    given |= {"source_vocab_size", "target_vocab_size", "unknown", "query_size", "value_size", "step"}
    for name in options(group):
        config: Any = OmegaConf.load(CONFIGS / group / f"{name}.yaml")
        if "_target_" not in config:  # front=none, and options that change a few keys of another
            continue
        keywords = set(parameters_of(target_of({"_target_": config._target_})))
        shared = [str(entry).partition("@")[0] for entry in config.get("defaults", ()) if "@_here_" in str(entry)]
        files = [config, *(OmegaConf.load(CONFIGS / group / f"{path}.yaml") for path in shared)]
        keys = {str(key) for file in files for key in file} - {"_target_", "_partial_", "defaults"}
        assert keys <= keywords, f"{group}/{name}"
        assert keywords - keys <= given, f"{group}/{name} lacks {keywords - keys - given}"


def test_options_that_data_sets_share_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)digit.*digits") as caught:
        composed(tmp_path, "data=digit")
    assert "_shared" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "+data.batchsize=3",
            "data.batchsize: seqmodels.data.DigitsData has no argument 'batchsize'; did you mean 'batch_size'",
        ),
        ("data.batch_size=many", "data.batch_size must be a whole number, got 'many'"),
        (
            "data.batch_size=0",
            "data .seqmodels.data.DigitsData.: batch_size must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_options_of_source_preparation_and_loading_are_checked_side_by_side(
    override: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=reason):
        build(composed(tmp_path, "data=digits", override).data)


@pytest.mark.parametrize("name", options("cell"))
def test_every_cell_builds_and_steps_in_a_network(name: str, tmp_path: Path) -> None:
    config = composed(tmp_path, f"cell={name}", "cell.hidden_size=6")
    model = build_model(config, SIZES)
    assert model(torch.randn(3, 7, 4), torch.tensor([7, 1, 4])).shape == (3, 3)


@pytest.mark.parametrize(
    "override",
    [
        f"{group}={name}"
        for group in ("regularizers", "initializer", "front", "top", "pooling", "model")
        for name in options(group)
        if name not in {"language_model", "tagger"}  # they read tokens: their experiments run below
        and "forecaster" not in name  # they read windows: below
        and name not in ("encoder_decoder", "ctc_network")  # they write another sequence: below, and in tests/tasks
    ],
)
def test_every_part_of_a_network_builds(override: str, tmp_path: Path) -> None:
    cell = "elman" if "identity" in override else "lstm"
    model = build_model(composed(tmp_path, override, f"cell={cell}", "cell.hidden_size=8"), SIZES)
    shape = (3, 7, 3) if "every_step" in override else (3, 3)
    assert model(torch.randn(3, 7, 4), torch.tensor([7, 1, 4])).shape == shape


@pytest.mark.parametrize("likelihood", options("likelihood"))
@pytest.mark.parametrize("model", [name for name in options("model") if "forecaster" in name])
def test_every_forecaster_builds_with_every_likelihood(model: str, likelihood: str, tmp_path: Path) -> None:
    config = composed(tmp_path, "task=forecasting", f"model={model}", f"likelihood={likelihood}", "cell.hidden_size=6")
    network: Any = build_model(config, {"input_size": 3, "output_size": 3, "horizon": 5})
    numbers = network(torch.randn(2, 24, 3), torch.zeros(2, 5, 0))
    assert numbers.shape == (2, 5, 3, network.likelihood.size)


@pytest.mark.parametrize("attention", options("attention"))
def test_every_attention_builds_between_any_two_cells(attention: str, tmp_path: Path) -> None:
    config = composed(tmp_path, "model=encoder_decoder", "cell=lstm", "cell.hidden_size=6", "+cell@decoder_cell=gru")
    chosen: Any = OmegaConf.load(CONFIGS / "attention" / f"{attention}.yaml")
    with open_dict(config):
        config.attention = None if attention == "none" else chosen
    config.decoder_cell.hidden_size = 12  # both directions of the encoder: attention=dot needs one size
    model = build_model(config, {"source_vocab_size": 9, "target_vocab_size": 8})
    log_probs, _ = model(torch.randint(9, (3, 7)), torch.randint(8, (3, 5)), torch.tensor([7, 1, 4]))
    assert log_probs.shape == (3, 5, 8)
    assert {type(part).__name__ for part in model.modules() if isinstance(part, Cell)} == {"LSTMCell", "GRUCell"}


@pytest.mark.parametrize("name", options("scheduled_sampling"))
def test_every_schedule_of_own_tokens_builds(name: str) -> None:
    config: Any = OmegaConf.load(CONFIGS / "scheduled_sampling" / f"{name}.yaml")
    if name != "none":
        assert 0 <= build(config)(step=100) <= 1


def test_regularizers_combine_and_apply_from_the_inside_out(tmp_path: Path) -> None:
    regularizers = "regularizers=[recurrent_dropout,zoneout]"
    model: Any = build_model(composed(tmp_path, regularizers, "model=classifier"), SIZES)
    cell = model.recurrent.layers[0].cell
    assert [type(cell).__name__, type(cell.cell).__name__] == ["Zoneout", "RecurrentDropout"]
    assert isinstance(cell.core, Cell)


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer_and_scheduler_builds(optimizer: str, tmp_path: Path) -> None:
    config = composed(tmp_path, f"optimizer={optimizer}")
    for scheduler in options("scheduler"):
        config.scheduler = composed(tmp_path, f"scheduler={scheduler}").scheduler
        task = build_task(config, SIZES)
        lengths = {"warmup_cosine": {"total_steps": 9}, "cosine": {"total_epochs": 9}}
        assert task.scheduler is not None
        schedule = task.scheduler(task.optimizer(task.parameters()), **lengths.get(scheduler, {}))
        assert hasattr(schedule, "step")


@pytest.mark.parametrize("name", options("data"))
def test_every_data_set_builds_with_a_task_and_model_that_fit(name: str, tmp_path: Path) -> None:
    own = ["data.images=here", "data.labels=here"] if name == "idx" else ["data.path=here"] * (name in OWN_FILES)
    config = composed(tmp_path, f"data={name}", *own)
    assert build(config.data).target_kind == target_of(config.task).needs
    sizes = {"vocab_size": 11, "character_vocab_size": 6, "source_vocab_size": 11, "target_vocab_size": 11}
    check(plain(config.model), "model", {**SIZES, **sizes, "horizon": 5})


@pytest.mark.parametrize("name", options("augmentation"))
def test_every_augmentation_builds_and_can_be_called(name: str, tmp_path: Path) -> None:
    built = build(composed(tmp_path, f"augmentation={name}").augmentation)
    assert set(built) == {name} - {"none"}
    assert all(callable(augmentation) for augmentation in built.values())


@pytest.mark.parametrize("name", options("trainer"))
def test_every_trainer_fits_the_signature_and_those_of_this_machine_build(name: str, tmp_path: Path) -> None:
    config = composed(tmp_path, f"trainer={name}")
    check(plain(config.trainer), "trainer")
    if name in ("default", "cpu", "ddp_sim"):
        assert isinstance(build(config.trainer, logger=False), Trainer)


@pytest.mark.parametrize("name", [name for name in options("logger") if name not in EXTERNAL])
def test_every_logger_builds(name: str, tmp_path: Path) -> None:
    loggers = build(composed(tmp_path, f"logger={name}").logger)
    assert set(loggers) == ({"csv", "tensorboard"} if name == "default" else {name} - {"none"})


@pytest.mark.parametrize("name", sorted(EXTERNAL))
def test_loggers_of_other_packages_have_keys_that_fit(name: str, tmp_path: Path) -> None:
    check(plain(composed(tmp_path, f"logger={name}").logger), "logger")


@pytest.mark.parametrize("name", options("callbacks"))
def test_every_callback_builds(name: str, tmp_path: Path) -> None:
    callbacks = build(composed(tmp_path, f"callbacks={name}").callbacks)
    assert callbacks
    assert all(isinstance(callback, Callback) for callback in callbacks.values())
    assert any(isinstance(callback, EpochLines) for callback in callbacks.values()) == (
        name in ("default", "none", "progress")
    )


@pytest.mark.parametrize("name", options("debug"))
def test_every_debug_mode_runs(name: str, tmp_path: Path) -> None:
    small = [] if name == "fdr" else [line for line in TINY if name != "overfit" or "limit_train" not in line]
    metrics = train(composed(tmp_path, f"debug={name}", "cell.hidden_size=5", *small))
    assert "test/accuracy" in metrics


def reviews(folder: Path) -> Path:
    """Write a few reviews as the published fifty thousand are unpacked, which take long to read; return ``folder``."""
    for part, label, number in itertools.product(("train", "test"), ("neg", "pos"), range(20)):
        path = folder / "imdb" / "aclImdb" / part / label / f"{number}_7.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a {label} film, {number} times over")
    return folder


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_runs_one_batch(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")  # kernels of its sizes would take longer to compile than the batch to run
    choices = [f"experiment={name}", "logger=none", *TINY]
    config = composed(tmp_path, *choices)
    needs_files = bool(target_of(config.data).folder)
    folder = reviews(tmp_path) if name == "imdb" else request.getfixturevalue("data_dir") if needs_files else tmp_path
    data = [f"paths.data_dir={folder}"]
    less = {"time": 9, "train_rows": 70, "test_max_length": 9, "test_min_length": 9, "eval_batch_size": 2}
    small = [f"data.{key}={value}" for key, value in less.items() if config.data.get(key) is not None]
    steps = ["data.batch_size=2"] if name in ("mnist_pixels", "mnist_permuted") else []
    steps += ["data.max_reviews=30", f"data.cache_dir='{tmp_path}'"] if name == "seed003_text_generation" else []
    steps += ["model.hidden_sizes=[9,9,6]", "model.embedding_size=6"] if name == "awd_lstm" else []
    metrics = train(composed(tmp_path, *choices, *data, *small, *steps))
    assert metrics["test/loss"] == metrics["test/loss"], "the loss is not a number"


@pytest.mark.parametrize("path", sorted((CONFIGS / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_says_its_command_and_bears_its_own_name(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith(f"# seqmodels train experiment={path.stem}  -> ")
    assert OmegaConf.load(path).name == path.stem


@pytest.mark.parametrize(
    ("experiment", "sizes", "parameters"),
    [
        ("simple_rnn_regression", {"input_size": 10, "output_size": 1}, 7937),
        ("lstm_regression", {"input_size": 1, "output_size": 1}, 200 * 1 + 30451),
        ("lstm_regression", {"input_size": 7, "output_size": 1}, 200 * 7 + 30451),
        ("concat_linear", {"input_size": 8, "output_size": 10}, (8 + 128) * 128 + 128 + 128 * 10 + 10),
        ("mnist_elman", {"input_size": 28, "output_size": 10}, 33098),
        ("mnist_dense", {"input_size": 28, "output_size": 10, "time": 28}, 109386),
        ("seed003_text_generation", {"vocab_size": 10000}, 2028816),
    ],
)
def test_published_parameter_counts(experiment: str, sizes: dict[str, int], parameters: int, tmp_path: Path) -> None:
    model = build_model(composed(tmp_path, f"experiment={experiment}"), sizes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_targets_are_nested_at_most_two_deep(tmp_path: Path) -> None:
    config = composed(tmp_path, "regularizers=zoneout")
    for place, node in nodes(OmegaConf.to_container(config, resolve=False)):
        if "_target_" in node:
            assert place.count(".") <= 2, place


def test_no_configuration_file_is_left_out_of_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "configs"],
        cwd=CONFIGS.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    present = {str(path.relative_to(CONFIGS.parent)) for path in CONFIGS.rglob("*.yaml") if "local" not in path.parts}
    assert present == set(tracked)
    assert all(re.fullmatch(r"configs/[\w/]+\.yaml", name) for name in tracked)
