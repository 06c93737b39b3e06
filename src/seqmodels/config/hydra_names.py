"""The allow-list for the node ``hydra`` of a configuration: launchers, sweepers, callbacks, log handlers."""

import re
from collections.abc import Iterator
from typing import Any

from seqmodels.config.allowlist import join, matches, nodes, refusal, user_patterns
from seqmodels.errors import TargetRefused

HYDRA = ("hydra._internal.core_plugins.*", "hydra_plugins.*")
LOGGING = ("logging.*Handler", "logging.handlers.*Handler", "logging.Formatter", "colorlog.ColoredFormatter")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
COMMANDS = ("setup", "python")  # options of cluster launchers
VARIABLES = (
    *("OMP_*", "MKL_*", "OPENBLAS_*", "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
    *("NCCL_*", "GLOO_*", "TOKENIZERS_PARALLELISM", "WANDB_MODE", "HYDRA_FULL_ERROR"),
)
_IN_FOLDER = re.compile(r"\$\{hydra\.runtime\.output_dir\}/")  # an absolute path, whatever follows
_WITH_TEXT = re.compile(r"(?!\$\{.*\}$)|\$\{(oc\.env:[^{}$]*|hydra\.job\.name)\}$", re.DOTALL)  # always a text
IMPORTING = {
    **dict.fromkeys(("job_logging", "hydra_logging"), _IN_FOLDER),
    **dict.fromkeys(("callbacks", "launcher", "sweeper"), _WITH_TEXT),
}
"""The parts of Hydra's node that name objects to import, and the interpolations permitted in them."""


def check_hydra_names(config: Any) -> None:
    """Check what the node ``hydra`` of a configuration would import or run: launchers, sweepers, callbacks, handlers.

    It is checked unresolved, since Hydra resolves it later; names to import must therefore be literal values.

    Raises:
        TargetRefused: one of them is not on the allow-list.
    """
    if not isinstance(config, dict):
        raise TargetRefused(f"hydra = {config!r}: it must be a literal node, not an interpolation")
    own = user_patterns()
    rules = {"_target_": HYDRA + own, "class": LOGGING, "()": LOGGING, "factory": ()}
    for where, node in nodes(config, "hydra"):
        for key, patterns in rules.items():
            if key in node and not matches(node[key], patterns):
                raise refusal(where, node[key], key)
    for place, text in _texts(config, "hydra"):
        part = place.split(".")[1]
        if part in ("job_logging", "hydra_logging") and "ext://" in text and text not in STREAMS:
            raise refusal(place, text, "")  # logging would import the name
        if "${" in text and part in IMPORTING and not IMPORTING[part].match(text):
            raise TargetRefused(f"{place} = {text!r}: this must be a literal value, not an interpolation")
    job = config.get("job") or {}
    _check_environment(job.get("env_set") or {} if isinstance(job, dict) else job)
    _check_launching(config, own)


def _check_environment(variables: Any) -> None:
    """Refuse environment variables that select programs or extend the allow-list: PATH, CXX, SEQMODELS_ALLOW."""
    for name in variables if isinstance(variables, dict) else [variables]:
        if not matches(name, VARIABLES):
            raise TargetRefused(
                f"hydra.job.env_set.{name} cannot be set in a configuration; set it in the shell "
                f"(a configuration may set {', '.join(VARIABLES)})"
            )


def _check_launching(config: dict[Any, Any], own: tuple[str, ...]) -> None:
    """Refuse shell commands, and sweeps over Hydra's own keys, which are not checked."""
    for key in COMMANDS:
        place = f"hydra.launcher.{key}"
        if (config.get("launcher") or {}).get(key) and not matches(place, own):
            raise TargetRefused(f"{place} runs commands; the environment variable SEQMODELS_ALLOW={place} allows it")
    for key in (config.get("sweeper") or {}).get("params") or {}:
        if "hydra" in str(key):
            raise TargetRefused(f"hydra.sweeper.params: {key} cannot be swept; give it on the command line")


def _texts(config: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a plain configuration with its path."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        where = join(place, key) if isinstance(config, dict) else f"{place}[{key}]"
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict | list):
            yield from _texts(value, where)
