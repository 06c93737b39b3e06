"""Configurations from outside: overrides, files of a folder of one's own, model folders, checkpoints, vocabularies."""

import io
import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from fuzzing.judging import NAME, Reader
from fuzzing.records import VOCABULARIES
from seqmodels.config.build import build
from seqmodels.config.compose import compose
from seqmodels.system.json_text import read_json
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.fit import check_config
from seqmodels.training.model_folder import load_model, save_model
from seqmodels.training.trained import build_model

HOSTILE = (
    b"os.system",
    b"subprocess.Popen",
    b"builtins.eval",
    b"pathlib.Path.write_text",
    b"torch.utils.collect_env.run",
    b"torch.load",
    b"${oc.env:HOME}",
    b"${oc.decode:'${oc.env:HOME}'}",
    b"!!python/object/apply:os.system ['true']",
    b"_partial_: true",
    b"_args_: [1]",
    b"${cell}",
    b"${.}",
    b"${nowhere}",
    b"???",
    b"&a [*a, *a]",
    b"<<: *a",
)
KEYS = (
    b"cell.hidden_size",
    b"data.batch_size",
    b"optimizer.lr",
    b"model.depth",
    b"trainer.max_epochs",
    b"cell._target_",
    b"callbacks",
    b"hydra.run.dir",
    b"+new.key",
    b"~cell.hidden_size",
    b"cell",
    b"data",
    b"experiment",
    b"seed",
)
OVERRIDES = [b"cell.hidden_size=5", b"cell=gru", b"+x={a: [1, 2], b: 'c d'}", b"optimizer.lr=1e-3", b"~data", b"a.b=c"]
EXPERIMENT = b"# @package _global_\ndefaults:\n  - override /cell: gru\nname: own\ncell: {hidden_size: 7}\nseed: 3\n"
PLACE = ["paths.output_dir=out", "data=digits"]
SMALL = ["cell.hidden_size=3", "optimizer.lr=0.1"]


def config_readers(folder: Path) -> list[Reader]:
    """Return the readers of configurations; those of files write them to ``folder``."""
    own = folder / "configs" / "experiment" / f"{NAME}.yaml"
    own.parent.mkdir(parents=True)
    recipe, checkpoint = _trained()

    def experiment(content: bytes) -> Any:
        own.write_bytes(content)
        check_config(compose("train", [f"experiment={NAME}", *PLACE], str(folder / "configs")))

    def override(content: bytes) -> Any:
        check_config(compose("train", [content.decode("utf-8", "replace"), *PLACE]))

    def model_folder(content: bytes) -> Any:
        (folder / f"{NAME}-model" / "config.json").write_bytes(content)
        load_model(folder / f"{NAME}-model")

    def weights(content: bytes) -> Any:
        (folder / f"{NAME}-weights" / "model.safetensors").write_bytes(content)
        load_model(folder / f"{NAME}-weights")

    def vocabulary(content: bytes) -> Any:
        (folder / f"{NAME}.json").write_bytes(content)
        build(read_json(folder / f"{NAME}.json"))

    def checkpoint_file(content: bytes) -> Any:
        (folder / f"{NAME}.ckpt").write_bytes(content)
        load_trained(folder / f"{NAME}.ckpt")

    for part in ("model", "weights"):
        save_model(
            folder / f"{NAME}-{part}", build_model(OmegaConf.create(recipe["config"]), recipe["sizes"]), recipe, {}
        )
    config = (folder / f"{NAME}-model" / "config.json").read_bytes()
    tensors = (folder / f"{NAME}-model" / "model.safetensors").read_bytes()
    vocabularies = [json.dumps(vocabulary.node).encode() for vocabulary in VOCABULARIES[:2]]
    vocabularies.append(json.dumps({**VOCABULARIES[2].node, "merges": VOCABULARIES[2].node["merges"][:9]}).encode())
    return [
        Reader("overrides", override, OVERRIDES, words=(*HOSTILE, *KEYS), named=spoken, share=1),
        Reader("experiment of one's own", experiment, [EXPERIMENT], words=(*HOSTILE, *KEYS), named=spoken, share=1),
        Reader("model folder", model_folder, [config], words=HOSTILE, named=spoken, share=10),
        Reader("safetensors", weights, [tensors], share=20),
        Reader("checkpoint", checkpoint_file, [checkpoint], share=10),
        Reader("vocabulary in json", vocabulary, vocabularies, words=HOSTILE, named=spoken, share=20),
    ]


def spoken(content: bytes, message: str) -> bool:  # noqa: ARG001
    """Tell whether a message says something: of configurations the key comes first, not always the file."""
    return len(message.strip()) > 10


def _trained() -> tuple[dict[str, Any], bytes]:
    """Return the recipe and the checkpoint of a small network, without training it."""
    config = compose("train", ["name=fuzz", "paths.output_dir=out", *SMALL])
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    plain: Any = OmegaConf.to_container(config, resolve=True)
    sizes = {"input_size": 2, "output_size": 3}
    recipe = {"config": plain, "sizes": sizes, "class_names": ["a", "b", "c"], "preprocessing": None}
    model = build_model(OmegaConf.create(plain), sizes)
    out = io.BytesIO()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "recipe": recipe}, out)
    return recipe, out.getvalue()
