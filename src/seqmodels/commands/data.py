"""``seqmodels data``: list the data sets, verify their files, download missing ones."""

import sys
from collections.abc import Iterable

from rich.table import Table

from seqmodels.commands.tables import console
from seqmodels.config.compose import compose
from seqmodels.config.quoting import literal_values
from seqmodels.errors import ConfigError, nearest

USAGE = """seqmodels data list                        list the options of data=... and the files they need
seqmodels data verify NAME [key=value ...]    compare its files with the published ones
seqmodels data download NAME [key=value ...]  download the files that are missing or damaged

Files are below paths.data_dir, whose default is the environment variable SEQMODELS_DATA_DIR.
"""
ACTIONS = ("list", "verify", "download")


def main(tokens: list[str]) -> int:
    """Run one of the three actions; the exit status is 1 if a file is missing or damaged."""
    if not tokens:
        sys.stdout.write(USAGE)
        return 0
    action, *rest = tokens
    if action not in ACTIONS:
        raise ConfigError(f"seqmodels data {action}: no such action{nearest(action, ACTIONS)}\n{USAGE.rstrip()}")
    names = [token for token in rest if "=" not in token]
    overrides = [token for token in rest if "=" in token]
    if len(names) != (action != "list"):
        raise ConfigError(f"seqmodels data {action} takes {'no name' if action == 'list' else 'one name'}, got {names}")
    chosen = literal_values([*(f"data={name}" for name in names), *overrides])
    data_dir = str(compose("train", chosen).paths.data_dir)
    return _list() if action == "list" else _files(action, names[0], data_dir)


def _list() -> int:
    from seqmodels.data.catalog import DATASETS, READERS  # noqa: PLC0415  (imports torch, not needed for help)

    table = Table("data=", "targets", "files", "licence", "citation")
    for dataset in DATASETS:
        files = f"{len(dataset.files)} in {dataset.folder}/" if dataset.files else "none needed"
        table.add_row(dataset.name, dataset.target_kind, files, dataset.license, dataset.citation)
    for reader in READERS:
        table.add_row(reader.name, reader.target_kind, "your own", reader.license, reader.citation)
    console().print(table)
    return 0


def _files(action: str, name: str, data_dir: str) -> int:
    from seqmodels.data.catalog import download, find, verify  # noqa: PLC0415

    dataset = find(name)
    if not dataset.files:
        sys.stdout.write(f"{name} needs no files\n")
        return 0
    states = download(dataset, data_dir) if action == "download" else verify(dataset, data_dir)
    _print(f"{status.state:8} {status.path or status.name}  {status.reason}".rstrip() for status in states)
    return int(any(status.state != "ok" for status in states))


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
