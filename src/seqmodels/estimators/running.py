"""Training by the command line's configuration, for data that are written to a file first."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path

from omegaconf import open_dict

from seqmodels.config.compose import compose, implied, without_null
from seqmodels.config.quoting import literal_values
from seqmodels.config.trust import trusted
from seqmodels.exporting.loading import load
from seqmodels.exporting.model import Model
from seqmodels.training.fit import train
from seqmodels.training.runs import check_no_run


def run(
    write: Callable[[Path], Sequence[str]], tokens: Sequence[str], run_dir: str | PathLike[str] | None, device: str
) -> tuple[Model, dict[str, float]]:
    """Train as ``seqmodels train`` does; return the best model and the final metrics.

    Args:
        write: writes the data into a folder, and returns the options of the command that read them.
        tokens: further options of the command.
        run_dir: folder of the run, which keeps the data in ``data/``; a temporary one if None.
        device: of the loaded model.

    Raises:
        ConfigError: an option is wrong, or the folder already holds a run.
        ValueError: the data cannot be read.
    """
    with _folder(run_dir) as folder:
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        own = ["logger=none", "callbacks.progress=null", "baselines=false", "name=estimator", "run_name=estimator"]
        typed = [*own, f"paths.output_dir={folder}", *write(data), *tokens]
        quoted = [without_null(token) for token in literal_values(typed)]
        with trusted(quoted):
            config = compose("train", [*quoted, *implied(quoted)])
            with open_dict(config):
                del config["hydra"]
            metrics = train(config)
            return load(folder, ckpt="best", device=device), metrics


@contextmanager
def _folder(run_dir: str | PathLike[str] | None) -> Iterator[Path]:
    if run_dir is not None:
        folder = Path(fspath(run_dir)).absolute()
        check_no_run([folder])
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="seqmodels-") as temporary:
        yield Path(temporary)
