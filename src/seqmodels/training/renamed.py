"""Names of objects in recipes of earlier versions, which named the module that defined an object."""

from typing import Any

RENAMED = {
    **{f"seqmodels.data.vocabulary.{name}": name for name in ("CharacterVocabulary", "WordVocabulary")},
    "seqmodels.data.bpe.BPEVocabulary": "BPEVocabulary",
    **{
        f"seqmodels.data.vocabulary_learning.{name}": name for name in ("BPELearner", "CharacterLearner", "WordLearner")
    },
    **{f"seqmodels.data.token_augmentation.{name}": name for name in ("TokenDrop", "TokenSwap")},
    **{f"seqmodels.data.series_augmentation.{name}": name for name in ("Jitter", "Scale", "TimeMask", "TimeWarp")},
    "seqmodels.data.token_preprocessing.TokenPreprocessing": "TokenPreprocessing",
    "seqmodels.data.series_preprocessing.SeriesPreprocessing": "SeriesPreprocessing",
    "seqmodels.data.forecast_preprocessing.ForecastPreprocessing": "ForecastPreprocessing",
    "seqmodels.data.piano_roll.RollPreprocessing": "RollPreprocessing",
}
RENAMED = {old: f"seqmodels.data.{new}" for old, new in RENAMED.items()} | {
    "seqmodels.guards.FiniteSteps": "seqmodels.training.callbacks.FiniteSteps",
    "seqmodels.guards.GradientNorms": "seqmodels.training.callbacks.GradientNorms",
    "seqmodels.resuming.ResumePoints": "seqmodels.training.callbacks.ResumePoints",
    "seqmodels.progress.progress": "seqmodels.training.callbacks.progress",
    "seqmodels.tasks.NonMonotonicAveraging": "seqmodels.training.callbacks.NonMonotonicAveraging",
    "seqmodels.processes.ddp": "seqmodels.training.ddp",
    "seqmodels.schedules.warmup_cosine": "seqmodels.training.warmup_cosine",
}
"""The current public name of each. Entries are never removed: files with the old names exist."""


def with_public_names(config: Any) -> Any:
    """Return a plain configuration with every ``_target_`` replaced by its current name."""
    if isinstance(config, list):
        return [with_public_names(value) for value in config]
    if not isinstance(config, dict):
        return config
    new = {key: with_public_names(value) for key, value in config.items()}
    if isinstance(target := new.get("_target_"), str):
        new["_target_"] = RENAMED.get(target, target)
    return new
