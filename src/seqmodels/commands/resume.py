"""``resume=``: the command line of the run that goes on. Nothing here imports torch."""

from pathlib import Path
from typing import Any

import yaml

from seqmodels.commands.compose import compose, implied, parse
from seqmodels.gate import ConfigError

OURS = ("resume", "accept_changes", "hydra.run.dir")  # of this start, not of the run


def continued(tokens: list[str]) -> list[str]:
    """Return the tokens of a command with ``resume=`` as those of the run that it names, then what is new.

    ``resume=FOLDER`` is a run. ``resume=auto`` is the last run of this very command that has not ended; where there is
    none, a new run begins.

    Raises:
        ConfigError: the folder holds no run, or the command asks for several.
    """
    given = _value(tokens, "resume")
    if given in (None, "null"):
        return tokens
    if "-m" in tokens or "--multirun" in tokens:
        raise ConfigError("resume= goes on with one run: give the folder of the job, and leave -m out")
    others = [token for token in tokens if not token.startswith("resume=")]
    folder = _last_run(others) if given == "auto" else Path(str(given)).absolute()
    if folder is None:
        return others
    hydra = _read(folder / ".hydra" / "hydra.yaml")
    saved = [str(line) for line in _read(folder / ".hydra" / "overrides.yaml")]
    saved = [line for line in saved if line.partition("=")[0] not in OURS]
    spelled = "'" + str(folder).replace("\\", "\\\\").replace("'", "\\'") + "'"
    fresh = [token for token in others if not token.startswith("hydra.run.dir=")]
    return [*_config_dir(hydra, others), *saved, *fresh, f"hydra.run.dir={spelled}", f"resume={spelled}"]


def _last_run(tokens: list[str]) -> Path | None:
    """Return the newest run of the same command that has not ended, or that of the folder which the command names."""
    named = _value(tokens, "hydra.run.dir")
    if named is not None:
        folder = Path(named).absolute()
        return folder if (folder / ".hydra" / "overrides.yaml").is_file() else None
    lines = [token for token in tokens if "=" in token and not token.startswith("-")]
    config_dir = tokens[tokens.index("--config-dir") + 1] if "--config-dir" in tokens[:-1] else None
    wanted = _asked([*lines, *implied(lines)])
    runs = _log_folder(wanted, config_dir).glob("*/.hydra/overrides.yaml")
    begun = [path.parent.parent for path in runs if _asked([str(line) for line in _read(path)]) == wanted]
    waiting = [folder for folder in begun if not (folder / "metrics.json").is_file()]
    return max(waiting, key=lambda folder: (folder / ".hydra" / "overrides.yaml").stat().st_mtime, default=None)


def _log_folder(lines: list[str], config_dir: str | None) -> Path:
    """Return where the runs of a command lie."""
    return Path(compose("train", lines, config_dir).hydra.run.dir).parent


def _asked(lines: list[str]) -> list[str]:
    return sorted(line for line in lines if line.partition("=")[0] not in OURS)


def _config_dir(hydra: Any, tokens: list[str]) -> list[str]:
    """Return the flag by which the run found configurations of the user's own, unless it is given anew."""
    if "--config-dir" in tokens or "-cd" in tokens:
        return []
    sources = hydra.get("hydra", {}).get("runtime", {}).get("config_sources", [])
    paths = [source["path"] for source in sources if source.get("provider") == "command-line"]
    return ["--config-dir", paths[0]] if paths else []


def _value(tokens: list[str], key: str) -> str | None:
    """Return what the last ``key=value`` among the tokens gives, without the quotes of Hydra's grammar.

    Raises:
        ConfigError: it cannot be read.
    """
    lines = [token for token in tokens if token.startswith(f"{key}=")]
    if not lines:
        return None
    value = parse(lines[-1:])[0].value()
    return "null" if value is None else str(value)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        folder = path.parent.parent
        raise ConfigError(f"resume={folder}: there is no run in this folder to go on with, {path} cannot be read") from error
