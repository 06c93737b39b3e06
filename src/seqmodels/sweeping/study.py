"""Studies: their storage, the settings that they are created with, their samplers and pruners."""

import sqlite3
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from seqmodels.config.build import build
from seqmodels.errors import ConfigError
from seqmodels.system.json_text import read_json
from seqmodels.training.runs import write_json

FACTS = "sweep.json"
CONFIRMATION = "confirmation of "  # prefix of the study of the best trials with further seeds


class Facts(NamedTuple):
    """The fixed settings of a sweep, which every process that joins must share."""

    objectives: dict[str, str]
    space: dict[str, Any]
    of_trials: list[str]  # overrides on how trials are run, not part of the resulting experiment
    overrides: list[str]
    config_dir: str | None


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence optuna: the sweep itself reports each trial, and the experimental features in use are tested here."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
    optuna.logging.set_verbosity(verbosity)


def open_storage(place: str, folder: Path) -> BaseStorage:
    """Open ``sqlite`` or ``journal``, files in the folder of the sweep, or the database at a URL.

    Raises:
        ConfigError: there is no such storage, or the database cannot be opened.
    """
    if place == "journal":
        return JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    url = URL.create("sqlite", database=str(folder.absolute() / "study.db")) if place == "sqlite" else place
    if "://" not in str(url):
        raise ConfigError(f"sweep.storage must be sqlite, journal or the URL of a database, got {place!r}")
    options = (
        {"connect_args": {"timeout": 60, "factory": _Connection}}
        if str(url).startswith("sqlite")
        else {"pool_pre_ping": True}
    )
    try:
        storage = RDBStorage(str(url), engine_kwargs=options)
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"sweep.storage: the database cannot be opened: {reason}") from error
    weakref.finalize(storage, storage.engine.dispose)  # optuna does not close its connections
    return storage


class _Connection(sqlite3.Connection):
    """A connection without a disk sync at every commit: data survive the process, if not a power failure."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # the signature of sqlite3
        super().__init__(*arguments, **options)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def join(folder: Path, storage: str, facts: Facts) -> str:
    """Write the settings of a new sweep, or check that they match the existing ones; return the name of the study.

    The lock of the sweep must be held.

    Raises:
        ConfigError: the folder holds another sweep.
    """
    path = folder / FACTS
    if not path.is_file():
        kind = storage if storage in ("sqlite", "journal") else "database"  # its URL may hold a password
        name = f"{folder.name}-{uuid4().hex[:8]}"
        write_json(path, {"study": name, "storage": kind, **facts._asdict()})
        return name
    known = read_json(path)
    for key, value in facts._asdict().items():
        if known[key] != _plain(value):
            raise ConfigError(
                f"sweep.dir={folder} holds a sweep with other {key}: {known[key]}, not {value}; "
                "trials, limits, sampler and pruner may change, these may not: choose another sweep.dir"
            )
    return str(known["study"])


def load_sweep(folder: Path, storage: str | None = None) -> tuple[Study, Study | None, Facts]:
    """Return the study of the sweep in a folder, that of its confirmation if any, and the settings of the sweep.

    ``storage`` is needed for a database, whose URL is not saved.

    Raises:
        ConfigError: there is no sweep, or its storage cannot be opened.
    """
    path = folder / FACTS
    if not path.is_file():
        raise ConfigError(f"{folder} is not the folder of a sweep: {path} is missing")
    known = read_json(path)
    for key in ("study", "storage", *Facts._fields):
        if not isinstance(known, dict) or key not in known:
            raise ConfigError(f"cannot read {path}: it has no {key}")
    if known["storage"] == "database" and storage is None:
        raise ConfigError(f"the sweep in {folder} is stored in a database: give it as storage=URL")
    opened = open_storage(storage or known["storage"], folder)
    names = [study.study_name for study in optuna.get_all_study_summaries(opened)]
    if known["study"] not in names:
        raise ConfigError(f"the storage of {folder} has no study {known['study']!r}")
    study = optuna.load_study(study_name=known["study"], storage=opened)
    second = CONFIRMATION + known["study"]
    confirmation = optuna.load_study(study_name=second, storage=opened) if second in names else None
    return study, confirmation, Facts(**{key: known[key] for key in Facts._fields})


def open_study(storage: BaseStorage, name: str, objectives: Mapping[str, str], pruner: Any = None) -> Study:
    """Open or create a study; the lock of the sweep must be held. ``pruner`` is a node of the configuration."""
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[StudyDirection[direction.upper()] for direction in objectives.values()],
        pruner=build(pruner) if pruner is not None else optuna.pruners.NopPruner(),
        sampler=optuna.samplers.RandomSampler(),  # replaced for each trial, see sampler_for
        load_if_exists=True,
    )
    study.set_metric_names(list(objectives))
    return study


def sampler_for(node: Any, seed: int, study: Study) -> BaseSampler:
    """Return the sampler of the next trial of a study, seeded by ``seed`` and the number of that trial.

    A single process therefore draws the same trials whether or not it was interrupted, and several processes draw
    different ones.

    Raises:
        ConfigError: the sampler does not exist, or does not support the study.
    """
    number = len(study.get_trials(deepcopy=False))
    own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    sampler: BaseSampler = build(node, seed=own)
    if len(study.directions) > 1 and isinstance(sampler, CmaEsSampler):
        raise ConfigError("sweep=cmaes is for one objective; for several use sweep=tpe")
    return sampler


def _plain(value: Any) -> Any:
    """Return plain data as they are after a round trip through JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
