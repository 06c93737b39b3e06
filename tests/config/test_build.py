"""Building objects from configurations; names that are not on the allow-list are not even imported."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.config.build import accepted, build
from seqmodels.config.hydra_names import check_hydra_names
from seqmodels.errors import ConfigError, TargetRefused

MODULE = "open({marker!r}, 'w').close()\nimport os\nfrom torch import nn\nclass Own(nn.Module): pass\n"
HOSTILE: list[dict[str, Any]] = [
    {"_target_": "hostile.Own"},
    {"_target_": "os.system", "_args_": ["true"]},
    {"_target_": "builtins.exec"},
    {"_target_": "subprocess.Popen", "_partial_": True},
    {"_target_": "pathlib.Path.write_text"},
    {"_target_": "torch.utils.collect_env.run"},
    {"_target_": "torch.load"},
    {"_target_": "torch.hub.load"},
    {"_target_": "torch.nn.modules.module.torch.hub.load"},
    {"_target_": "torch.nn.modules.module.torch"},
    {"_target_": "seqmodels.data.source.Path"},
    {"_target_": "seqmodels.data.download.download"},
    {"_target_": "seqmodels.tasks.Classification.load_from_checkpoint"},
    {"_target_": "seqmodels.training.fit.train"},
    {"_target_": "lightning.pytorch.LightningModule.load_from_checkpoint"},
    {"_target_": 3},
    {"callbacks": {"one": [{"_target_": "hostile.Own"}]}},
    {"name": "hostile.Own", "a": {"_target_": "${name}"}},
    {"_target_": "torch.nn.Sequential", "a": {"_target_": "hostile.os.system", "_partial_": True}},
]


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears as soon as the module ``hostile`` is imported."""
    path = tmp_path / "imported"
    (tmp_path / "hostile.py").write_text(MODULE.format(marker=str(path)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("SEQMODELS_ALLOW", raising=False)
    monkeypatch.delitem(__import__("sys").modules, "hostile", raising=False)
    return path


@pytest.mark.parametrize("config", HOSTILE, ids=lambda config: str(config)[:60])
def test_what_is_not_allowed_is_refused_before_it_is_imported(config: dict[str, Any], marker: Path) -> None:
    with pytest.raises(TargetRefused, match="not on the list"):
        build(OmegaConf.create(config))
    assert not marker.exists()


def test_a_user_widens_the_list_by_the_environment_and_not_by_re_exports(
    marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQMODELS_ALLOW", " hostile.* , other.*")
    assert type(build({"_target_": "hostile.Own"})).__name__ == "Own"
    with pytest.raises(TargetRefused, match=r"really posix\.system"):
        build({"_target_": "hostile.os.system"})


@pytest.mark.parametrize(
    "node",
    [
        {"callbacks": {"x": {"_target_": "os.system"}}},
        {"launcher": {"_target_": "seqmodels.cells.LSTMCell"}},
        {"job_logging": {"handlers": {"x": {"class": "subprocess.Popen"}}}},
        {"hydra_logging": {"formatters": {"x": {"()": "os.system"}}}},
    ],
    ids=str,
)
def test_what_hydra_itself_would_import_passes_the_gate_too(node: dict[str, Any]) -> None:
    with pytest.raises(TargetRefused, match="hydra"):
        check_hydra_names(node)


def test_nested_nodes_are_built_first_and_partial_ones_are_left_open() -> None:
    config = OmegaConf.create(
        {
            "size": 5,
            "cell": {"_target_": "seqmodels.cells.LSTMCell", "_partial_": True, "hidden_size": "${size}"},
            "model": {
                "_target_": "seqmodels.cells.wrapped",
                "factory": "${cell}",
                "wrappers": {"one": {"_target_": "seqmodels.cells.RecurrentDropout", "_partial_": True, "p": 0.3}},
            },
        }
    )
    factory = build(config.cell)
    assert isinstance(factory, partial)
    assert factory.func is LSTMCell
    wrapped = build(config.model, input_size=4)
    assert type(wrapped).__name__ == "RecurrentDropout"
    assert (wrapped.input_size, wrapped.hidden_size) == (4, 5)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"hiden_size": 3}, r"model\.hiden_size: .*GRUCell has no argument 'hiden_size'; did you mean 'hidden_size'\?"),
        ({}, r"model\.hidden_size must be given"),
        ({"hidden_size": -3}, r"model \(seqmodels\.cells\.GRUCell\): hidden_size must be .*-3"),
        ({"hidden_size": 3, "input_size": 7}, r"model\.input_size is not set here: it comes from the data \(4\)"),
        ({"hidden_size": "???"}, r"model\.hidden_size"),
        ({"hidden_size": "${nowhere}"}, r"nowhere"),
        ({"hidden_size": 3, "_convert_": "all"}, r"model\._convert_ has no meaning here"),
    ],
    ids=str,
)
def test_errors_name_the_key_and_the_cause(node: dict[str, Any], message: str) -> None:
    config = OmegaConf.create({"model": {"_target_": "seqmodels.cells.GRUCell", **node}})
    with pytest.raises(ConfigError, match=message):
        build(config.model, input_size=4)


def test_keys_are_checked_before_anything_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    config = OmegaConf.create(
        {
            "a": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": str(folder)},
            "b": {"_target_": "seqmodels.cells.LSTMCell", "hiden_size": 3},
        }
    )
    with pytest.raises(ConfigError, match="hiden_size"):
        build(config)
    assert not folder.exists()


def test_a_misspelt_class_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"seqmodels\.cells has no 'LSTMCel'; did you mean 'LSTMCell'\?"):
        build({"_target_": "seqmodels.cells.LSTMCel"})


def test_only_keywords_that_a_call_takes_are_offered() -> None:
    sizes = {"input_size": 4, "output_size": 3, "time": 7}
    assert accepted({"_target_": "seqmodels.cells.GRUCell"}, sizes) == {"input_size": 4}
    cell = build({"_target_": "seqmodels.cells.GRUCell", "hidden_size": 5}, input_size=4)
    assert isinstance(cell, GRUCell)
    assert cell(torch.zeros(3, 4))[0].shape == (3, 5)
