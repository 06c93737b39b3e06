"""What Hydra's own node of a configuration may import or run: launchers, sweepers, callbacks, log handlers."""

import re
from collections.abc import Iterator
from typing import Any

from seqmodels.config.allowlist import join, matches, nodes, refusal, user_patterns
from seqmodels.errors import TargetRefused

HYDRA = ("hydra._internal.core_plugins.*", "hydra_plugins.*")
LOGGING = ("logging.*Handler", "logging.handlers.*Handler", "logging.Formatter", "colorlog.ColoredFormatter")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
COMMANDS = ("setup", "python")  # of a launcher for a cluster
VARIABLES = (
    *("OMP_*", "MKL_*", "OPENBLAS_*", "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
    *("NCCL_*", "GLOO_*", "TOKENIZERS_PARALLELISM", "WANDB_MODE", "HYDRA_FULL_ERROR"),
)
_IN_FOLDER = re.compile(r"\$\{hydra\.runtime\.output_dir\}/")  # an absolute path, whatever follows
_WITH_TEXT = re.compile(r"(?!\$\{.*\}$)|\$\{(oc\.env:[^{}$]*|hydra\.job\.name)\}$", re.DOTALL)  # a text in any case
IMPORTING = {
    **dict.fromkeys(("job_logging", "hydra_logging"), _IN_FOLDER),
    **dict.fromkeys(("callbacks", "launcher", "sweeper"), _WITH_TEXT),
}
"""The parts of Hydra's node that name what is imported, and the interpolations that may stand in them."""


def check_hydra_names(config: Any) -> None:
    """Check what Hydra's own node of a configuration would import or run: launchers, sweepers, callbacks, log handlers.

    It is checked as it is written, since Hydra resolves it only later: what is imported must stand there as it is.

    Raises:
        TargetRefused: one of them is not on the allow-list.
    """
    if not isinstance(config, dict):
        raise TargetRefused(f"hydra = {config!r}: it must stand there as it is, not as an interpolation")
    own = user_patterns()
    rules = {"_target_": HYDRA + own, "class": LOGGING, "()": LOGGING, "factory": ()}
    for where, node in nodes(config, "hydra"):
        for key, patterns in rules.items():
            if key in node and not matches(node[key], patterns):
                raise refusal(where, node[key], key)
    for place, text in _texts(config, "hydra"):
        part = place.split(".")[1]
        if part in ("job_logging", "hydra_logging") and "ext://" in text and text not in STREAMS:
            raise refusal(place, text, "")  # logging would import what follows
        if "${" in text and part in IMPORTING and not IMPORTING[part].match(text):
            raise TargetRefused(f"{place} = {text!r}: here a value must stand as it is, not as an interpolation")
    job = config.get("job") or {}
    _check_environment(job.get("env_set") or {} if isinstance(job, dict) else job)
    _check_launching(config, own)


def _check_environment(variables: Any) -> None:
    """Refuse variables by which other programs are run or the list is widened: PATH, CXX, SEQMODELS_ALLOW."""
    for name in variables if isinstance(variables, dict) else [variables]:
        if not matches(name, VARIABLES):
            raise TargetRefused(
                f"hydra.job.env_set.{name} is not set from a configuration; set it in the shell "
                f"(a configuration may set {', '.join(VARIABLES)})"
            )


def _check_launching(config: dict[Any, Any], own: tuple[str, ...]) -> None:
    """Refuse commands for a shell, and overrides of a sweep that no check would see."""
    for key in COMMANDS:
        place = f"hydra.launcher.{key}"
        if (config.get("launcher") or {}).get(key) and not matches(place, own):
            raise TargetRefused(f"{place} runs commands; the environment variable SEQMODELS_ALLOW={place} allows it")
    for key in (config.get("sweeper") or {}).get("params") or {}:
        if "hydra" in str(key):
            raise TargetRefused(f"hydra.sweeper.params: {key} is not swept; give it on the command line")


def _texts(config: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a plain configuration with its place."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        where = join(place, key) if isinstance(config, dict) else f"{place}[{key}]"
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict | list):
            yield from _texts(value, where)
