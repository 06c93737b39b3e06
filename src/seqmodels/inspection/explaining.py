"""``seqmodels explain``: look into a trained model, and write what was found into the folder of its run."""

from importlib import import_module
from pathlib import Path

from omegaconf import DictConfig

from seqmodels.errors import ConfigError, nearest
from seqmodels.inspection.finding import Finding, write_finding
from seqmodels.inspection.subject import Rows, subject_of
from seqmodels.system.durable import check_writable
from seqmodels.system.threads import cpu_threads, threads_for
from seqmodels.training.quiet import quiet

WHAT = {
    "gradients": "seqmodels.inspection.gradients:explain",
    "gates": "seqmodels.inspection.gates.page:explain",
    "attribution": "seqmodels.inspection.attribution.page:explain",
    "drift": "seqmodels.inspection.production.drift_page:explain",
    "calibration": "seqmodels.inspection.production.calibration_page:explain",
    "slices": "seqmodels.inspection.production.slices_page:explain",
}
"""What there is to look into, and the functions ``(subject, rows, config) -> Finding`` that do."""


def explain(config: DictConfig) -> tuple[Finding, list[Path]]:
    """Look into the model that ``config.run`` names; return what was found and the files that were written.

    Args:
        config: a composed configuration with the keys of ``configs/explain.yaml``.

    Raises:
        ConfigError: an option is wrong, the run cannot be read, or its model is not of the kind that was asked for.
        ValueError: the file ``config.input`` cannot be read; the message names file and line.
    """
    if config.what not in WHAT:
        raise ConfigError(
            f"what must be one of {', '.join(WHAT)}, got {config.what!r}{nearest(str(config.what), WHAT)}"
        )
    with quiet():
        subject = subject_of(config)
        if config.output is None and subject.folder is None:
            raise ConfigError(f"run={config.run} is not the folder of a run: name one for the results with output=DIR")
        folder = Path(config.output) if config.output is not None else Path(str(subject.folder), "explain")
        try:
            check_writable(folder)
        except OSError as error:
            raise ConfigError(f"the folder {folder} cannot be written: {error.strerror}") from error
        module, function = WHAT[config.what].split(":")
        with cpu_threads(threads_for(config.threads, subject.task, config.rows)):
            finding: Finding = getattr(import_module(module), function)(subject, Rows(subject, config), config)
    return finding, write_finding(finding, folder, config.what)
