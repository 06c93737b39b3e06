"""Which key is meant by a name that is none: a synonym of other libraries, the same name elsewhere, a similar one."""

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqmodels.errors import nearest, shortened

SYNONYMS = {
    "trainer.max_epochs": ("epochs", "num_epochs", "n_epochs", "nb_epochs", "max_epoch", "num_train_epochs"),
    "trainer.max_steps": ("steps", "num_steps", "iterations", "max_iter", "max_iters"),
    "trainer.devices": ("gpu", "gpus", "num_gpus", "n_gpus", "num_devices", "world_size"),
    "trainer.accelerator": ("device",),
    "trainer.precision": ("dtype", "amp", "fp16", "bf16"),
    "trainer.gradient_clip_val": ("clip", "clipnorm", "grad_clip", "gradient_clip", "max_grad_norm"),
    "trainer.accumulate_grad_batches": ("gradient_accumulation_steps", "accumulate"),
    "optimizer.lr": ("learning_rate", "alpha"),
    "optimizer.weight_decay": ("wd", "l2"),
    "cell.hidden_size": ("hidden", "hidden_dim", "hidden_units", "units", "num_units", "n_hidden", "d_model"),
    "model.depth": ("layers", "num_layers", "n_layers"),
    "model.dropout": ("dropout", "dropout_rate"),
    "model.embedding_size": ("embedding", "embedding_dim", "embed_dim", "output_dim"),
    "data.batch_size": ("batch", "batchsize", "bs", "per_device_train_batch_size"),
    "data.num_workers": ("workers", "n_workers"),
    "data.path": ("file", "filename", "filepath", "csv", "file_path", "data_path", "data_file"),
    "data.label": ("labels", "class", "target", "y"),
    "data.target": ("label", "y", "target_column"),
    "data.input_length": ("lookback", "window", "window_size", "seq_len", "sequence_length", "input_size"),
    "data.bptt": ("seq_len", "sequence_length", "block_size"),
    "data.max_length": ("maxlen", "max_len"),
    "data.val_share": ("validation_split", "val_split", "val_size"),
    "data.test_share": ("test_split", "test_size"),
    "callbacks.early_stopping.patience": ("patience",),
    "seed": ("random_state", "random_seed", "manual_seed"),
    "hydra.run.dir": ("run_dir", "output_dir", "out_dir", "logdir", "log_dir", "save_dir", "default_root_dir"),
}
"""Keys, and the names under which users of Lightning, Keras and others look for them."""
OPTIONS = {"elman": ("rnn", "simple_rnn", "simplernn", "vanilla_rnn")}
"""Options of groups, and other names for them."""
OF_OWN_FILES = ("data.path", "data.label", "data.target", "data.val_share", "data.test_share")
READERS = "data=text_csv, data=csv_sequences or data=csv_series"


def meant(config: DictConfig, name: str) -> str | None:
    """Return the key of a configuration that is meant by ``name``: a synonym, or the same name at another place.

    Example:
        >>> config = OmegaConf.create({"hydra": {}, "trainer": {"max_epochs": 3}, "optimizer": {"lr": 0.1}})
        >>> meant(config, "epochs"), meant(config, "lr"), meant(config, "width")
        ('trainer.max_epochs', 'optimizer.lr', None)
    """
    paths = list(_paths(_plain(config)))
    known = [key for key, names in SYNONYMS.items() if name in names and (key in paths or key == "hydra.run.dir")]
    same = sorted((path for path in paths if path.endswith(f".{name}")), key=lambda path: path.count("."))
    return next(iter([*known, *same]), None)


def of_own_files(config: DictConfig, name: str) -> str:
    """Return a hint at the data that read a user's own files if ``name`` means one of their keys, or else nothing.

    Example:
        >>> of_own_files(OmegaConf.create({"hydra": {}, "data": {"batch_size": 3}}), "path")
        '; data.path needs data of your own: data=text_csv, data=csv_sequences or data=csv_series'
    """
    if "data.path" in _paths(_plain(config)):
        return ""
    found = [key for key in OF_OWN_FILES if key == f"data.{name}" or name in SYNONYMS.get(key, ())]
    return f"; {found[0]} needs data of your own: {READERS}" if found else ""


def similar(config: DictConfig, name: str) -> str:
    """Return a hint at the key of any place whose name is nearest to ``name``, or nothing."""
    paths = {path.rpartition(".")[2]: path for path in _paths(_plain(config))}
    hint = nearest(name, paths)
    return f"; did you mean {paths[hint.split(chr(39))[1]]!r}?" if hint else ""


def option_meant(name: str, options: Sequence[str], elsewhere: Sequence[str]) -> str:
    """Return a hint at the option that is meant: one that contains ``name``, that of another group, a similar one.

    Example:
        >>> option_meant("csv", ["csv_series", "text_csv", "mnist"], [])
        '; did you mean one of csv_series, text_csv?'
    """
    known = [option for option, names in OPTIONS.items() if name.casefold() in names and option in options]
    containing = [option for option in options if name in option.split("_")]
    found = known or containing or elsewhere
    if len(found) > 1:
        return f"; did you mean one of {shortened(found, 6)}?"
    return f"; did you mean {found[0]!r}?" if found else nearest(name, options)


def _plain(config: DictConfig) -> dict[Any, Any]:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    return plain


def _paths(node: dict[Any, Any], place: str = "") -> Iterator[str]:
    for key, value in node.items():
        path = f"{place}.{key}" if place else str(key)
        if isinstance(value, dict):
            yield from _paths(value, path)
        if key not in ("_target_", "_partial_"):
            yield path
