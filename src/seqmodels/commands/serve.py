"""``seqmodels serve``."""

import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from seqmodels.commands.app import check_run, run_app
from seqmodels.errors import ConfigError

MODEL = "model="  # of the command line; in configurations, this is the group of networks


def main(tokens: list[str]) -> int:
    """Serve a model over HTTP until SIGINT or SIGTERM."""
    typed = [f"run={token.removeprefix(MODEL)}" if token.startswith(MODEL) else token for token in tokens]
    return run_app("serve", _serve, typed)


def _serve(config: DictConfig) -> Mapping[str, float]:
    check_run(config)
    try:
        from seqmodels.serving.server import check_access, listen, serve  # noqa: PLC0415  (an extra, and slow)
    except ImportError as error:
        raise ConfigError(f"serving needs the package {error.name}: pip install 'seqmodels[serve]'") from error
    from seqmodels.config.build import plain  # noqa: PLC0415  (imports torch, so after all checks)
    from seqmodels.exporting.loading import load  # noqa: PLC0415
    from seqmodels.serving.limits import Limits  # noqa: PLC0415

    plain(config)  # raises if a mandatory value is missing
    check_access(config.host, config.token)
    limits = Limits(**config.limits)
    with listen(config.host, config.port) as listener:
        model = load(config.run, ckpt=config.ckpt, device=config.accelerator)
        host, port = listener.getsockname()[:2]
        place = f"http://{f'[{host}]' if ':' in host else host}:{port}"

        def started(_: object) -> None:
            sys.stderr.write(f"seqmodels: serving {config.run} at {place}\n")

        serve(model, listener, limits=limits, token=config.token, threads=config.threads, started=started)
    return {}
