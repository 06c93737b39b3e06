"""An additional process of a run on one machine, started by the first; see :mod:`seqmodels.training.processes`."""

import json
import os
import sys
import threading

from omegaconf import OmegaConf


def main() -> int:
    """Run the job in the first line of standard input; exit at once if the first process ends."""
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_first_process, daemon=True).start()

    from seqmodels import training  # noqa: PLC0415  (after the thread has started)
    from seqmodels.commands.app import full_errors, is_user_error  # noqa: PLC0415
    from seqmodels.errors import ProcessLost  # noqa: PLC0415
    from seqmodels.training.resuming import Interrupted  # noqa: PLC0415

    work = {"train": training.train, "evaluate": training.evaluate}[job["work"]]
    try:
        work(OmegaConf.create(job["config"]))
    except Interrupted as end:
        return end.status
    except Exception as error:
        if full_errors() or not (is_user_error(error) or isinstance(error, ProcessLost)):
            raise
        sys.stderr.write(f"seqmodels: process {os.environ['LOCAL_RANK']}: {error}\n")
        return 1
    return 0


def _exit_with_first_process() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
