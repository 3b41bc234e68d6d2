"""Folders with tiny models, whole and broken, that tests share."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tiny import tiny_model, tiny_tokenizer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 438000000\n"
WEIGHTS = "model.safetensors"


class Hostile:
    """What would run a command if its pickle were opened without care."""

    def __init__(self, canary: Path) -> None:
        """Take the file that the command makes."""
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Ask for a command."""
        return os.system, (f"touch {self.canary}",)


def save_whole(folder: Path) -> Path:
    """Save a tiny model with its tokenizer."""
    tiny_model("bert", classes=2).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def change_json(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key away."""
    content = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def cut(folder: Path, name: str, keep: float) -> None:
    """Cut the end of a file off."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * keep)])


def quantise(method: str) -> Callable[[Path], None]:
    """Return what makes a folder say that its weights are quantised."""
    return lambda folder: change_json(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})


def remove(*patterns: str) -> Callable[[Path], None]:
    """Return what removes files."""

    def remove_them(folder: Path) -> None:
        for pattern in patterns:
            for file in folder.glob(pattern):
                file.unlink()

    return remove_them


def write(name: str, content: bytes | str) -> Callable[[Path], None]:
    """Return what replaces a file."""
    return lambda folder: (
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode()) and None
    )


def pickled(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what puts a `.bin` file in place of the safetensors."""

    def replace(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        torch.save(make(folder), folder / "pytorch_model.bin")

    return replace


def resave(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    """Return what saves other tensors."""
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def shard(folder: Path, *, pickles: bool = False, parts: int = 3) -> None:
    """Spread the weights over several files, with an index."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(tensors)
    begin, end = ("pytorch_model", "bin") if pickles else ("model", "safetensors")
    places = {}
    for part in range(parts):
        file = f"{begin}-{part + 1:05}-of-{parts:05}.{end}"
        mine = {name: tensors[name] for name in names[part::parts]}
        places.update(dict.fromkeys(mine, file))
        if pickles:
            torch.save(mine, folder / file)
        else:
            save_file(mine, folder / file, metadata={"format": "pt"})
    (folder / f"{begin}.{end}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _missing_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def _shard_elsewhere(folder: Path) -> None:
    shard(folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    for name in index["weight_map"]:
        index["weight_map"][name] = "../model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _foreign_vocabulary(folder: Path) -> None:
    tiny_model("bert", classes=2, vocab_size=512).save_pretrained(folder)


def _too_few_embeddings(folder: Path) -> None:
    tiny_model("bert", classes=2, vocab_size=40).save_pretrained(folder)


def _adapter(folder: Path) -> None:
    remove("*")(folder)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased"}')


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (remove("*"), "has no config.json; it is empty"),
    "no config": (remove("config.json"), "has no config.json; it has 'model.safetensors'"),
    "config is no JSON": (write("config.json", "{"), "config.json of .* is no JSON"),
    "config is a list": (write("config.json", "[]"), "must have a config.json with a JSON object"),
    "config is binary": (write("config.json", b"\xff\xfe\x00"), "config.json of .* is no JSON"),
    "config is a pointer": (write("config.json", POINTER), "config.json of .* is a pointer of Git LFS"),
    "config without a type": (lambda f: change_json(f / "config.json", model_type=None), "`model_type` key"),
    "size is a word": (lambda f: change_json(f / "config.json", hidden_size="many"), "'hidden_size' expected int, got str"),
    "heads do not divide": (lambda f: change_json(f / "config.json", num_attention_heads=5), "not a multiple"),
    "unknown activation": (lambda f: change_json(f / "config.json", hidden_act="nope"), "KeyError: 'nope'"),
    "no layers": (lambda f: change_json(f / "config.json", num_hidden_layers=-1), "nothing was found there"),
    "other layers": (lambda f: change_json(f / "config.json", num_hidden_layers=3), "lacks 16, for example"),
    "other sizes": (lambda f: change_json(f / "config.json", hidden_size=16), "weights of the shapes .* has 37 of others"),
    "other architecture": (lambda f: change_json(f / "config.json", model_type="gpt2"), "must have all weights"),
    "no weights": (remove(WEIGHTS), "must have weights, .* has none; it has 'config.json'"),
    "weights are a folder": (lambda f: (remove(WEIGHTS)(f), (f / WEIGHTS).mkdir()) and None, "must have weights, "),
    "weights of llama.cpp": (lambda f: (f / WEIGHTS).rename(f / "m.gguf") and None, "but 'm.gguf', weights of llama.cpp"),
    "half a download": (lambda f: cut(f, WEIGHTS, 0.5), "model.safetensors of .* is cut off or damaged"),
    "half a header": (lambda f: cut(f, WEIGHTS, 0.001), "model.safetensors of .* is cut off or damaged"),
    "empty weights": (write(WEIGHTS, b""), "model.safetensors of .* is empty"),
    "weights are a pointer": (write(WEIGHTS, POINTER), "model.safetensors of .* is a pointer of Git LFS"),
    "weights of nothing": (resave(lambda t: {"x": torch.zeros(1)}), "must have all weights"),
    "weights in whole numbers": (resave(lambda t: {n: v.to(torch.int8) for n, v in t.items()}), "is stored as int8"),
    "a shard is missing": (_missing_shard, "lacks 'model-00002-of-00003.safetensors'"),
    "a shard lies elsewhere": (_shard_elsewhere, "lacks '../model.safetensors'"),
    "index without a map": (
        lambda f: (shard(f), (f / "model.safetensors.index.json").write_text("{}")) and None, "must have a weight_map"
    ),
    "hostile .bin": (pickled(lambda f: {"x": Hostile(f / "canary")}), "nothing of it was run: it asks for .*system"),
    "a model in a .bin": (pickled(lambda f: torch.nn.Linear(1, 1)), "it asks for torch.nn.modules.linear.Linear"),
    "a checkpoint in a .bin": (pickled(lambda f: {"state_dict": {}, "epoch": 3}), "holds a dict under 'state_dict'"),
    "half a .bin": (
        lambda f: (pickled(lambda g: tiny_model("bert").state_dict())(f), cut(f, "pytorch_model.bin", 0.5)) and None,
        "pytorch_model.bin of .* is cut off or damaged",
    ),
    ".bin is a pointer": (
        lambda f: (remove(WEIGHTS)(f), write("pytorch_model.bin", POINTER)(f)) and None,
        "pytorch_model.bin of .* is a pointer of Git LFS",
    ),
    "bitsandbytes": (quantise("bitsandbytes"), r"full precision .* is quantised \(bitsandbytes\)"),
    "GPTQ": (quantise("gptq"), r"full precision .* is quantised \(gptq\)"),
    "AWQ": (quantise("awq"), r"full precision .* is quantised \(awq\)"),
    "an adapter of PEFT": (_adapter, "is an adapter of the library PEFT"),
    "no tokenizer": (remove("tokenizer*"), "has none of tokenizer.json, vocab.txt"),
    "tokenizer is no JSON": (write("tokenizer.json", "{"), "its tokenizer cannot be loaded"),
    "tokenizer of nothing": (write("tokenizer.json", "{}"), "its tokenizer cannot be loaded"),
    "tokenizer in other words": (
        lambda f: change_json(f / "tokenizer.json", model={"type": "Unheard"}), "its tokenizer cannot be loaded"
    ),
    "tokenizer is a pointer": (write("tokenizer.json", POINTER), "tokenizer.json of .* is a pointer of Git LFS"),
    "settings of the tokenizer": (write("tokenizer_config.json", "[]"), "its tokenizer cannot be loaded"),
    "vocabulary of a smaller model": (_foreign_vocabulary, "has 64 tokens for 512 embeddings"),
    "vocabulary of a larger model": (_too_few_embeddings, "has 64 tokens for 40 embeddings"),
    "pooling is no JSON": (
        lambda f: ((f / "1_Pooling").mkdir(), write("1_Pooling/config.json", "{")(f)) and None, "config.json of .* is no JSON"
    ),
    "modules are no list": (write("modules.json", "{}"), "must have a readable modules.json"),
}  # fmt: skip
"""What breaks a folder, and a pattern of the sentence that says so."""


def break_folder(whole: Path, folder: Path, kind: str) -> Path:
    """Copy a whole folder and break the copy."""
    shutil.copytree(whole, folder)
    BROKEN[kind][0](folder)
    return folder
