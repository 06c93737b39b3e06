"""``seqmodels explain``."""

import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app


def main(tokens: list[str]) -> int:
    """Look into the model of a run; print what was found and where the figures are."""
    return run_app("explain", _explain, tokens)


def _explain(config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    from seqmodels.config.build import plain  # noqa: PLC0415  (imports torch and Lightning, so after all checks)
    from seqmodels.inspection.explaining import explain  # noqa: PLC0415

    plain(config)  # raises if a mandatory value is missing
    finding, paths = explain(config)
    sys.stdout.write(f"{finding.sentence}\n")
    sys.stdout.writelines(f"{path}\n" for path in paths)
    return {}
