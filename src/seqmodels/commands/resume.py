"""``resume=``: the command line of a run that is resumed. Nothing here imports torch."""

from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from seqmodels.config.changes import check_unchanged
from seqmodels.config.compose import compose, implied, parse
from seqmodels.config.hydra_internals import parse_flags
from seqmodels.config.quoting import quoted
from seqmodels.errors import ConfigError
from seqmodels.training.finding import latest_unfinished
from seqmodels.training.runs import read_config, resolved_config

NOT_KEPT = ("resume", "accept_changes", "hydra.run.dir", "hydra.mode")  # apply to one start only


def resume_tokens(tokens: list[str]) -> list[str]:
    """Replace ``resume=`` in a command line by the overrides of that run, followed by the new ones.

    ``resume=FOLDER`` names a run, ``resume=latest`` the one that was interrupted last. ``resume=auto`` is the last
    unfinished run of the same command; if there is none, a new run starts.

    Raises:
        ConfigError: the folder holds no run, the configuration would change, or the command is a multirun.
    """
    args = parse_flags(tokens)
    lines: list[str] = args.overrides
    given = _value(lines, "resume")
    if given in (None, "null"):
        return tokens
    if args.multirun:
        raise ConfigError("resume= continues one run: give the folder of the job, without -m")
    folder = _last_run(lines, args.config_dir) if given == "auto" else _folder(str(given))
    flags = [token for token in tokens if token not in lines]
    if folder is None:
        return [*flags, *(line for line in lines if not line.startswith("resume="))]
    saved, config_dir = _command_of(folder)
    config_dir = args.config_dir or config_dir
    new = [line for line in lines if _key(line) not in ("resume", "hydra.run.dir")]
    combined = [*(line for line in saved if _key(line) not in map(_key, new)), *new]
    if _value(lines, "accept_changes") != "True":
        _check_unchanged(folder, combined, config_dir)
    flags += [] if args.config_dir or config_dir is None else ["--config-dir", config_dir]
    return [*flags, *combined, f"hydra.run.dir={quoted(str(folder))}", f"resume={quoted(str(folder))}"]


def _folder(given: str) -> Path:
    return (latest_unfinished() if given == "latest" and not Path(given).exists() else Path(given)).absolute()


def _check_unchanged(folder: Path, lines: list[str], config_dir: str | None) -> None:
    """Check that the configuration of the run is unchanged, before Hydra writes the new command to its folder."""
    if not (folder / "config.yaml").is_file():  # interrupted before it was written
        return
    config = compose("train", [*lines, f"paths.output_dir={quoted(str(folder))}"], config_dir)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    check_unchanged(read_config(folder / "config.yaml"), resolved_config(config))


def _last_run(lines: list[str], config_dir: str | None) -> Path | None:
    """Return the folder of the newest unfinished run of the same command, or that of ``hydra.run.dir``."""
    named = _value(lines, "hydra.run.dir")
    if named is not None:
        folder = Path(named).absolute()
        return folder if _hydra_file(folder).is_file() else None
    own = [*lines, *implied(lines)]
    config = compose("train", [line for line in own if _key(line) != "resume"], config_dir)
    HydraConfig.instance().set_config(config)
    runs = [path.parent.parent for path in Path(config.hydra.run.dir).absolute().parent.glob("*/.hydra/hydra.yaml")]
    unfinished = [folder for folder in runs if not (folder / "metrics.json").is_file()]
    same = [folder for folder in unfinished if sorted(_command_of(folder)[0]) == sorted(_kept(own))]
    return max(same, key=lambda folder: _hydra_file(folder).stat().st_mtime, default=None)


def _command_of(folder: Path) -> tuple[list[str], str | None]:
    """Return the overrides that a run was started with, and its ``--config-dir``."""
    path = _hydra_file(folder)
    try:
        node: Any = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]
        lines = [*node["overrides"]["task"], *node["overrides"]["hydra"]]
        places = [
            source["path"] for source in node["runtime"]["config_sources"] if source["provider"] == "command-line"
        ]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"resume={folder}: there is no run to resume here, {path} cannot be read") from error
    return _kept([str(line) for line in lines]), str(places[0]) if places else None


def _hydra_file(folder: Path) -> Path:
    return folder / ".hydra" / "hydra.yaml"


def _kept(lines: list[str]) -> list[str]:
    return [line for line in lines if _key(line) not in NOT_KEPT]


def _key(line: str) -> str:
    return line.partition("=")[0]


def _value(lines: list[str], key: str) -> str | None:
    """Return the value of the last ``key=value``, parsed by Hydra's grammar."""
    given = [line for line in lines if _key(line) == key]
    if not given:
        return None
    value = parse(given[-1:])[0].value()
    return "null" if value is None else str(value)
