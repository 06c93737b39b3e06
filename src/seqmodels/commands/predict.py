"""``seqmodels predict``."""

import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app


def main(tokens: list[str]) -> int:
    """Predict for the records of a file; how many there were goes to standard error, so that pipes hold records."""
    return run_app("predict", _predict, tokens)


def _predict(config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    from seqmodels.config.build import plain  # noqa: PLC0415  (torch and Lightning take seconds, so after all checks)
    from seqmodels.training.prediction import predict  # noqa: PLC0415

    plain(config)  # what must be given is named before anything runs
    number = predict(config)
    if config.output != "-":
        sys.stderr.write(f"seqmodels: {number} predictions in {config.output}\n")
    return {}
