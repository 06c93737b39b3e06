"""What a server says about its model."""

import logging
from dataclasses import asdict
from typing import Any

import torch

from seqmodels.data.audio.preprocessing import RecordingPreprocessing
from seqmodels.data.labelled.image_preprocessing import ImagePreprocessing
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing
from seqmodels.exporting.model import Model
from seqmodels.models import LanguageModel
from seqmodels.serving.limits import Limits
from seqmodels.serving.stepping import Stepper
from seqmodels.tasks.predictors.texts import TextPredictor

STEPS = 64  # of inputs that are made up

log = logging.getLogger("seqmodels")


def model_card(model: Model, stepper: Stepper, limits: Limits) -> dict[str, Any]:
    """Return what clients need to know of a model: what it reads, what can be asked of it, the limits of the server."""
    config, preprocessing = model.recipe["config"], model.preprocessing
    series, image = isinstance(preprocessing, LabelledPreprocessing), isinstance(preprocessing, ImagePreprocessing)
    return {
        "name": config.get("name"),
        "task": config["task"].get("_target_"),
        "network": config["model"].get("_target_"),
        "cell": (config.get("cell") or {}).get("_target_"),
        "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
        "fingerprint": stepper.fingerprint,
        "reads": reads(preprocessing),
        "sample_rate": preprocessing.features.rate if isinstance(preprocessing, RecordingPreprocessing) else None,
        "channels": model.step_inputs()[1] if series and not image else None,
        "classes": list(model.class_names),
        "generates": isinstance(model.module, LanguageModel) or isinstance(model.predictor, TextPredictor),
        "steps": None if stepper.refusal is not None else stepper.described(),
        "no_steps_because": stepper.refusal,
        "limits": asdict(limits),
    }


def reads(preprocessing: Any) -> str:
    """Return what a model reads: ``recording``, ``series`` or ``text``."""
    if isinstance(preprocessing, RecordingPreprocessing):
        return "recording"
    return "series" if isinstance(preprocessing, LabelledPreprocessing | ForecastPreprocessing) else "text"


def warm_up(model: Model, rows: int) -> None:
    """Predict for made-up inputs where that is possible, so that kernels are built before the first request waits.

    Args:
        model: that is served.
        rows: inputs in its largest batch. A few short ones would not do: for these nothing is compiled.
    """
    preprocessing, level = model.preprocessing, log.level
    log.setLevel(logging.ERROR)  # what is unusual in these inputs concerns nobody
    try:
        if isinstance(preprocessing, RecordingPreprocessing):
            made_up: Any = torch.rand(preprocessing.features.rate).tolist()
        elif isinstance(preprocessing, ForecastPreprocessing):
            made_up = torch.rand(preprocessing.input_length, len(preprocessing.columns)).tolist()
        elif isinstance(preprocessing, LabelledPreprocessing):
            made_up = torch.rand(STEPS, model.step_inputs()[1]).tolist()
        else:
            made_up = "a " * STEPS
        model.predict([made_up])
        model.predict([made_up] * rows, batch_size=rows)
    except (ValueError, TypeError) as error:
        log.debug("no input could be made up for the model: %s", error)
    finally:
        log.setLevel(level)
