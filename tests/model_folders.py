"""Folders with tiny models, whole and broken, that tests share."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tiny import tiny_model, tiny_tokenizer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 438000000\n"
WEIGHTS, BIN = "model.safetensors", "pytorch_model.bin"
Change = Callable[[Path], None]
Tensors = dict[str, torch.Tensor]


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


def configure(**changes: Any) -> Change:
    """Return what changes keys of config.json; None takes a key away."""
    return lambda folder: _change_json(folder / "config.json", changes)


def quantise(method: str) -> Change:
    """Return what makes a folder say that its weights are quantised."""
    return configure(quantization_config={"quant_method": method, "bits": 4})


def cut(name: str, keep: float) -> Change:
    """Return what cuts the end of a file off."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return change


def remove(pattern: str) -> Change:
    """Return what removes files."""

    def change(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return change


def rename(name: str, other: str) -> Change:
    """Return what renames a file."""

    def change(folder: Path) -> None:
        (folder / name).rename(folder / other)

    return change


def write(name: str, content: bytes | str) -> Change:
    """Return what replaces a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def pickled(make: Callable[[Path], object]) -> Change:
    """Return what puts a `.bin` file in place of the safetensors."""

    def change(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        torch.save(make(folder), folder / BIN)

    return change


def resave(make: Callable[[Tensors], Tensors]) -> Change:
    """Return what saves other tensors."""
    return lambda folder: save_file(make(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def both(first: Change, second: Change) -> Change:
    """Return what makes one change after the other."""

    def change(folder: Path) -> None:
        first(folder)
        second(folder)

    return change


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


def _change_json(file: Path, changes: dict[str, Any]) -> None:
    content = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _shard_elsewhere(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    names = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "../model.safetensors")}))


def _of_nothing(tensors: Tensors) -> Tensors:
    return {"x": torch.zeros(1)}


def _in_whole_numbers(tensors: Tensors) -> Tensors:
    return {name: tensor.to(torch.int8) for name, tensor in tensors.items()}


def _hostile(folder: Path) -> object:
    return {"x": Hostile(folder / "canary")}


def _module(folder: Path) -> object:
    return torch.nn.Linear(1, 1)


def _training_state(folder: Path) -> object:
    return {"state_dict": {}, "epoch": 3}


def _state(folder: Path) -> object:
    return tiny_model("bert").state_dict()


def _with_embeddings(rows: int) -> Change:
    return lambda folder: tiny_model("bert", classes=2, vocab_size=rows).save_pretrained(folder)


def _unheard_tokenizer(folder: Path) -> None:
    _change_json(folder / "tokenizer.json", {"model": {"type": "Unheard"}})


def _torchscript(folder: Path) -> None:
    remove(WEIGHTS)(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that it is old
        torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)).save(str(folder / BIN))


def _no_number(tensors: Tensors) -> Tensors:
    return {name: tensor * float("nan") if "layer.1" in name else tensor for name, tensor in tensors.items()}


def _unheard_class(folder: Path) -> None:
    remove("tokenizer*")(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "NoSuchTokenizer"}')


def _half_sentencepiece(folder: Path) -> None:
    remove("tokenizer*")(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    (folder / "spiece.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>" * 9)


def _adapter(folder: Path) -> None:
    remove("*")(folder)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased"}')


BROKEN: dict[str, tuple[Change, str]] = {
    "empty": (remove("*"), "has no config.json; it is empty"),
    "no config": (remove("config.json"), "has no config.json; it has 'model.safetensors'"),
    "config is no JSON": (write("config.json", "{"), "config.json of .* is no JSON"),
    "config is a list": (write("config.json", "[]"), "must have a config.json with a JSON object"),
    "config is binary": (write("config.json", b"\xff\xfe\x00"), "config.json of .* is no JSON"),
    "config is a pointer": (write("config.json", POINTER), "config.json of .* is a pointer of Git LFS"),
    "config without a type": (configure(model_type=None), "`model_type` key"),
    "architectures are no list": (configure(architectures=7), "a list of names under architectures .* has 7"),
    "an architecture is a number": (configure(architectures=[7]), "a list of names under architectures .* has .7."),
    "size is a word": (configure(hidden_size="many"), "'hidden_size' expected int, got str"),
    "heads do not divide": (configure(num_attention_heads=5), "not a multiple"),
    "unknown activation": (configure(hidden_act="nope"), "KeyError: 'nope'"),
    "no layers": (configure(num_hidden_layers=-1), "must have its layers at 'encoder.layer'"),
    "other layers": (configure(num_hidden_layers=3), "lacks 16, for example"),
    "other sizes": (configure(hidden_size=16), "weights of the shapes .* has 37 of others"),
    "other architecture": (configure(model_type="gpt2"), "must have all weights"),
    "bitsandbytes": (quantise("bitsandbytes"), r"full precision .* is quantised \(bitsandbytes\)"),
    "GPTQ": (quantise("gptq"), r"full precision .* is quantised \(gptq\)"),
    "AWQ": (quantise("awq"), r"full precision .* is quantised \(awq\)"),
    "no weights": (remove(WEIGHTS), "must have weights, .* has none; it has 'config.json'"),
    "weights of llama.cpp": (rename(WEIGHTS, "m.gguf"), "but 'm.gguf', weights of llama.cpp"),
    "half a download": (cut(WEIGHTS, 0.5), "model.safetensors of .* is cut off or damaged"),
    "half a header": (cut(WEIGHTS, 0.001), "model.safetensors of .* is cut off or damaged"),
    "empty weights": (write(WEIGHTS, b""), "model.safetensors of .* is empty"),
    "weights are a pointer": (write(WEIGHTS, POINTER), "model.safetensors of .* is a pointer of Git LFS"),
    "weights of nothing": (resave(_of_nothing), "must have all weights"),
    "weights in whole numbers": (resave(_in_whole_numbers), "is stored as int8"),
    "weights that are no number": (
        resave(_no_number),
        "must have weights that are finite numbers; 'bert.encoder.layer.1",
    ),
    "a shard is missing": (both(shard, remove("model-00002-*")), "lacks 'model-00002-of-00003.safetensors'"),
    "a shard lies elsewhere": (both(shard, _shard_elsewhere), "lacks '../model.safetensors'"),
    "index without a map": (both(shard, write("model.safetensors.index.json", "{}")), "must have a weight_map"),
    "hostile .bin": (pickled(_hostile), "nothing of it was run: it asks for .*system"),
    "a model in a .bin": (pickled(_module), "it asks for torch.nn.modules.linear.Linear"),
    "a checkpoint in a .bin": (pickled(_training_state), "holds a dict under 'state_dict'"),
    "TorchScript in a .bin": (_torchscript, "pytorch_model.bin of .* is a program of TorchScript, and nothing"),
    "half a .bin": (both(pickled(_state), cut(BIN, 0.5)), "pytorch_model.bin of .* is cut off or damaged"),
    ".bin is a pointer": (
        both(remove(WEIGHTS), write(BIN, POINTER)),
        "pytorch_model.bin of .* is a pointer of Git LFS",
    ),
    "an adapter of PEFT": (_adapter, "is an adapter of the library PEFT"),
    "no tokenizer": (remove("tokenizer*"), "has none of tokenizer.json, vocab.txt"),
    "tokenizer of a class that does not exist": (_unheard_class, "has no file that such a tokenizer is read from"),
    "half a model of sentencepiece": (
        _half_sentencepiece,
        "is neither a whole model of sentencepiece nor tokenizer.json",
    ),
    "tokenizer is no JSON": (write("tokenizer.json", "{"), "its tokenizer cannot be loaded"),
    "tokenizer of nothing": (write("tokenizer.json", "{}"), "its tokenizer cannot be loaded"),
    "tokenizer in other words": (_unheard_tokenizer, "its tokenizer cannot be loaded"),
    "tokenizer is a pointer": (write("tokenizer.json", POINTER), "tokenizer.json of .* is a pointer of Git LFS"),
    "settings of the tokenizer": (write("tokenizer_config.json", "[]"), "its tokenizer cannot be loaded"),
    "vocabulary of a smaller model": (_with_embeddings(512), "has 64 tokens for 512 embeddings"),
    "vocabulary of a larger model": (_with_embeddings(40), "has 64 tokens for 40 embeddings"),
    "pooling is no JSON": (write("1_Pooling/config.json", "{"), "config.json of .* is no JSON"),
    "modules are no list": (write("modules.json", "{}"), "must have a readable modules.json"),
}
"""What breaks a folder, and a pattern of the sentence that says so."""


def break_folder(whole: Path, folder: Path, kind: str) -> Path:
    """Copy a whole folder and break the copy."""
    shutil.copytree(whole, folder)
    BROKEN[kind][0](folder)
    return folder
