"""``seqmodels generate``."""

import sys
from collections.abc import Mapping
from functools import partial

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app
from seqmodels.errors import ConfigError


def main(tokens: list[str]) -> int:
    """Generate text; the prompt is taken literally, since Hydra would interpret its commas and quotes."""
    prompts = [token.removeprefix("prompt=") for token in tokens if token.startswith("prompt=")]
    others = [token for token in tokens if not token.startswith("prompt=")]
    try:
        "".join(prompts).encode()
    except UnicodeEncodeError as error:  # bytes of another encoding
        raise ConfigError(f"prompt: the text after {error.object[: error.start]!r} is not utf-8") from error
    return run_app("generate", partial(_generate, prompts[-1] if prompts else ""), others)


def _generate(prompt: str, config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    from seqmodels.config.build import plain  # noqa: PLC0415  (imports torch and Lightning, so after all checks)
    from seqmodels.exporting.generation import write_samples  # noqa: PLC0415

    plain(config)  # raises if a mandatory value is missing
    write_samples(config, _standard_input() if prompt == "-" else prompt, sys.stdout)
    return {}


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"prompt=-: byte {error.start} of standard input is not utf-8") from error
