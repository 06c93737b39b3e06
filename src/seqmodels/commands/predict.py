"""``seqmodels predict``."""

import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app


def main(tokens: list[str]) -> int:
    """Predict for the records of a file; their number goes to standard error, so that pipes carry records only."""
    return run_app("predict", _predict, tokens)


def _predict(config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    from seqmodels.config.build import plain  # noqa: PLC0415  (imports torch and Lightning, so after all checks)
    from seqmodels.exporting.prediction import predict  # noqa: PLC0415

    plain(config)  # raises if a mandatory value is missing
    number = predict(config)
    if config.output != "-":
        sys.stderr.write(f"seqmodels: {number} prediction{'s' if number != 1 else ''} in {config.output}\n")
    return {}
