"""``seqmodels export``."""

import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app


def main(tokens: list[str]) -> int:
    """Write a trained model in a format for elsewhere, and print what was done."""
    return run_app("export", _export, tokens)


def _export(config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    from seqmodels.config.build import plain  # noqa: PLC0415  (imports torch and Lightning, so after all checks)
    from seqmodels.exporting.job import export  # noqa: PLC0415

    plain(config)  # raises if a mandatory value is missing
    lines = export(config)
    sys.stdout.write("".join(f"{line}\n" for line in (*lines, f"written: {config.output}")))
    return {}
