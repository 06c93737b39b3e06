"""A further process of a run on one machine; the first one starts it, see :mod:`seqmodels.training.processes`."""

import json
import os
import sys
import threading

from omegaconf import OmegaConf


def main() -> int:
    """Do what the first line of standard input says; end at once when the first process is gone."""
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_first, daemon=True).start()

    from seqmodels import training  # noqa: PLC0415  (the watch comes first)
    from seqmodels.commands.app import full_errors, is_user_error  # noqa: PLC0415
    from seqmodels.errors import ProcessLost  # noqa: PLC0415
    from seqmodels.training.resuming import Interrupted  # noqa: PLC0415

    work = {"train": training.train, "evaluate": training.evaluate}[order["work"]]
    try:
        work(OmegaConf.create(order["config"]))
    except Interrupted as end:
        return end.status
    except Exception as error:
        if full_errors() or not (is_user_error(error) or isinstance(error, ProcessLost)):
            raise
        sys.stderr.write(f"seqmodels: process {os.environ['LOCAL_RANK']}: {error}\n")
        return 1
    return 0


def _end_with_the_first() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
