"""Every architecture × every method: it trains, is stored, loads, and is the same in a pack and with more padding."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tiny import (
    FAMILIES,
    FURTHER_SIZES,
    PARTS,
    SETS,
    SHIFTED,
    WITHOUT_BIASES,
    KeptGates,
    randomise,
    tiny_backbone,
    tiny_inputs,
    tiny_run,
    tiny_task,
    tiny_trial,
)
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.families import KNOWN_TYPES
from unipelt_search.errors import BackboneError
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.catalogue import TRAINED_METHODS
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.pelt.applicability import packable
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.records.results import RunResult
from unipelt_search.training.checkpoint import load_run, save_run
from unipelt_search.training.train import train

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

INPUTS = tiny_inputs([9, 4, 6])
CAUSAL = ("gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3")
KEY_BIAS = re.compile(r"[./](key|k|k_proj|k_lin)[./](bias|delta)$")
backbone_of = cache(tiny_backbone)


PUBLISHED = {
    "published unipelt_apl": tiny_trial("unipelt_apl").model_copy(
        update={"adapter": AdapterSpec(bottleneck=8, activation="relu", input="normalised", up="normal")}
    )
}


@pytest.mark.parametrize("method", [*PARTS, *SETS, *PUBLISHED])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_method_trains_is_stored_and_answers_the_same_again(family: str, method: str, tmp_path: Path) -> None:
    assert_trains_and_is_stored(family, method, tmp_path)


@pytest.mark.parametrize("family", ["deberta", "deepseek_v3", "gpt_oss", "jamba"])
def test_one_of_each_further_kind_trains_is_stored_and_answers_the_same_again(family: str, tmp_path: Path) -> None:
    """Latent attention, mixtures of experts, sinks, hybrids; benchmarks/backbone_matrix.py has the others."""
    assert_trains_and_is_stored(family, "unipelt_apl", tmp_path)


def assert_trains_and_is_stored(family: str, method: str, tmp_path: Path) -> None:
    """Train a method a little, store it, and load it alone and into a pack: the logits stay."""
    backbone, trial = backbone_of(family), PUBLISHED.get(method) or tiny_trial(method)
    if "bitfit" in method and family in WITHOUT_BIASES:
        with pytest.raises(BackboneError, match=f"bitfit needs a backbone with biases; '{family}' has none"):
            Pack(backbone, [tiny_run(trial)])
        return
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        assert_every_tensor_moves(pack)
        with torch.no_grad():
            answer = pack(INPUTS)[0]
            wide = pack({name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in INPUTS.items()})[0]
        save_run(tmp_path / "run", pack.slot_state_dict(0), {})
    assert torch.allclose(answer, wide, atol=1e-5)
    tensors, _ = load_run(tmp_path / "run")
    with torch.no_grad():
        with Pack(backbone, [without_training_only(tiny_run(trial, 1))]) as fresh:
            fresh.load_slot_state_dict(0, tensors)
            assert torch.allclose(fresh(INPUTS)[0], answer, atol=1e-6)
        assert_equal_in_a_pack(backbone, trial, tensors, answer)


def assert_every_tensor_moves(pack: Pack) -> None:
    """Take one step down the gradient of a loss, with dropout on."""
    trained = pack.trained()
    before = [tensor.parameter.detach().clone() for tensor in trained]
    optimizer = torch.optim.SGD([tensor.parameter for tensor in trained], lr=0.1)
    torch.nn.functional.cross_entropy(pack(INPUTS, steps=[0])[0], torch.tensor([0, 1, 2])).backward()
    optimizer.step()
    still = [tensor.name for tensor, old in zip(trained, before, strict=True) if torch.equal(tensor.parameter, old)]
    # A key's bias adds the same to all scores of a query, which a softmax does not see: its gradient is 0.
    assert [name for name in still if not KEY_BIAS.search(name)] == []
    assert all(tensor.parameter.grad is not None for tensor in trained)


def assert_equal_in_a_pack(backbone: Backbone, trial: Any, tensors: dict[str, torch.Tensor], answer: Any) -> None:
    runs = [tiny_run(tiny_trial("unipelt_ap"), 2), without_training_only(tiny_run(trial, 1))]
    if not packable(backbone, trial):
        with pytest.raises(ValueError, match="must be alone in its pack"):
            Pack(backbone, runs)
        return
    with Pack(backbone, runs) as together:
        together.load_slot_state_dict(1, tensors)
        logits = together({name: tensor.repeat(2, 1) for name, tensor in INPUTS.items()})
    assert torch.allclose(logits[1], answer, atol=1e-5)


@pytest.mark.parametrize("family", CAUSAL)
@pytest.mark.parametrize("method", ["lora", "prefix", "adapter"])
@torch.no_grad()
def test_a_causal_backbone_does_not_look_ahead(family: str, method: str) -> None:
    """Changing the last token leaves the hidden states of all earlier positions as they were."""
    backbone, inputs = backbone_of(family), tiny_inputs([9, 9])
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][:, -1] = (changed["input_ids"][:, -1] + 1) % 60 + 4
    seen: list[torch.Tensor] = []
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        assert all(layer.causal for layer in pack.layers)
        randomise(pack)
        handle = backbone.base.register_forward_hook(lambda module, args, output: seen.append(output[0]))
        pack(inputs)
        pack(changed)
        handle.remove()
    assert torch.allclose(seen[0][:, :-1], seen[1][:, :-1], atol=1e-6)
    assert not torch.allclose(seen[0][:, -1], seen[1][:, -1], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_every_submodule_acts_in_every_layer(family: str) -> None:
    """Taking one away in one layer changes the answer: nothing hangs where it is never asked."""
    with Pack(backbone_of(family), [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        randomise(pack)
        full = pack(INPUTS)
        for layer in pack.layers:
            for submodule in ("adapter", "prefix", "lora"):
                without = pack(INPUTS, removed=frozenset({(submodule, layer.number)}))
                assert not torch.allclose(full, without, atol=1e-5), (submodule, layer.number)


# The self-attention's projections in PEFT's terms; a fused one cannot be compared, PEFT adapts all of it.
SEPARATE = {
    "bert": "query|value", "roberta": "query|value", "electra": "query|value", "distilbert": "q_lin|v_lin",
    "albert": "query|value", "deberta-v2": "query_proj|value_proj", "mpnet": "q|v", "t5": r"SelfAttention\.(q|v)",
    "bart": r"self_attn\.(q_proj|v_proj)", "opt": "q_proj|v_proj", "llama": "q_proj|v_proj",
    "mistral": "q_proj|v_proj", "qwen2": "q_proj|v_proj", "qwen3": "q_proj|v_proj", "gemma3_text": "q_proj|v_proj",
}  # fmt: skip


def last_hidden(model: Any) -> torch.Tensor:
    """The token vectors of a model without its head."""
    inputs = dict(INPUTS)
    if model.config.is_encoder_decoder:  # the decoder reads the same tokens, one later, behind its start token
        start = torch.full((3, 1), model.config.decoder_start_token_id)
        inputs["decoder_input_ids"] = torch.cat([start, INPUTS["input_ids"][:, :-1]], 1)
    return model.base_model(**inputs).last_hidden_state


def token_vectors(backbone: Backbone, trial: Any) -> tuple[Pack, torch.Tensor]:
    """Return a pack with random weights, detached again, and the last token vectors ``(B, T, D)`` with it."""
    seen: list[torch.Tensor] = []
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        handle = backbone.base.register_forward_hook(lambda module, args, out: seen.append(out.last_hidden_state))
        pack(INPUTS)
        handle.remove()
    return pack, seen[0]


@pytest.mark.parametrize("family", SEPARATE)
@torch.no_grad()
def test_lora_is_that_of_peft(family: str) -> None:
    backbone = backbone_of(family)
    trial = tiny_trial("lora").model_copy(update={"lora": LoraSpec(rank=4, alpha=12.0)})
    pack, found = token_vectors(backbone, trial)
    targets = rf".*(\.|^)({SEPARATE[family]})"
    model = copy.deepcopy(backbone.model)
    reference = get_peft_model(model, LoraConfig(r=4, lora_alpha=12, target_modules=targets))
    names = {module: name for name, module in backbone.model.named_modules()}
    adapted = [(layer.number, "query", layer.query) for layer in pack.layers]
    adapted += [(layer.number, "value", layer.value) for layer in pack.layers]
    assert len(adapted) == sum(hasattr(module, "lora_A") for module in reference.modules())
    for number, place, projection in adapted:
        module, part = model.get_submodule(names[projection.module]), pack.parts[f"lora/{number}/{place}"]
        module.lora_A["default"].weight.copy_(part.down[0])
        module.lora_B["default"].weight.copy_(part.up[0])
    real = INPUTS["attention_mask"].bool()
    assert torch.allclose(found[real], last_hidden(model)[real], atol=1e-5)
    assert not torch.allclose(found[real], last_hidden(backbone.model)[real], atol=1e-3)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "modernbert", "phi3"])
@torch.no_grad()
def test_lora_on_a_fused_projection_is_an_update_of_its_weight(family: str) -> None:
    """The update written into the rows of query and value in a copy's fused weight gives the same token vectors."""
    backbone, trial = backbone_of(family), tiny_trial("lora").model_copy(update={"lora": LoraSpec(rank=4, alpha=12.0)})
    pack, found = token_vectors(backbone, trial)
    model, config = copy.deepcopy(backbone.model), backbone.model.config
    names, width = {module: name for name, module in backbone.model.named_modules()}, 32 // config.num_attention_heads
    keys = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    for layer in pack.layers:
        weight = model.get_submodule(names[layer.query.module]).weight
        rows = weight.T if family == "gpt2" else weight  # (out, in)
        updates = {}
        for place in ("query", "value"):
            part = pack.parts[f"lora/{layer.number}/{place}"]
            updates[place] = 3.0 * part.up[0] @ part.down[0]
        if family == "gpt_neox":  # head by head: its query, its key, its value
            for head in range(4):
                own = slice(head * width, (head + 1) * width)
                rows[3 * head * width :][:width] += updates["query"][own]
                rows[3 * head * width + 2 * width :][:width] += updates["value"][own]
        else:
            rows[:32] += updates["query"]
            rows[32 + keys * width :] += updates["value"]
    real = INPUTS["attention_mask"].bool()
    assert torch.allclose(found[real], last_hidden(model)[real], atol=1e-5)
    assert not torch.allclose(found[real], last_hidden(backbone.model)[real], atol=1e-3)


def test_the_documented_matrix_has_every_type_and_every_method() -> None:
    page = (Path(__file__).parents[2] / "docs" / "backbones.md").read_text(encoding="utf-8")
    used, _, matrix = page.partition("<!-- matrix")[2].partition("<!-- end of matrix -->")[0].partition("| type | LoRA")
    rows = f"| type | LoRA{matrix}".partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0][4:] == [f"`{method}`" for method in TRAINED_METHODS]
    names = [row[0].strip("`") for row in cells[2:]]
    assert names[: len(FAMILIES)] == list(FAMILIES)
    assert set(FURTHER_SIZES) <= set(names)
    assert f"all {len(names)} architectures" in used
    assert used.count("\n| ") == 25 + 1
    listed = cells[2 : 2 + len(FAMILIES)]
    assert {row[0].strip("`") for row in listed if row[2].endswith("; can shift")} == set(SHIFTED)
    bitfit = cells[0].index("`bitfit`")
    assert {row[0].strip("`") for row in listed if row[bitfit] == "no biases"} == set(WITHOUT_BIASES)
    assert all(cell in ("yes", "no biases") for row in listed for cell in row[4:])
    assert [kind for kind in KNOWN_TYPES if f"`{kind}`" not in page] == []


@pytest.mark.parametrize("family", ["t5", "bart"])
@torch.no_grad()
def test_an_encoder_decoders_head_reads_the_end_token_as_its_own_does(family: str) -> None:
    backbone, inputs = backbone_of(family), {name: tensor.clone() for name, tensor in INPUTS.items()}
    for row, length in enumerate([9, 4, 6]):
        inputs["input_ids"][row, length - 1] = 3  # the end token
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        ours = pack(inputs)[0]
        assert pack(INPUTS).isfinite().all()  # rows without an end token
    reference = copy.deepcopy(backbone.model)
    for name in backbone.new_modules:
        linear, part = reference.get_submodule(name), pack.parts[f"head/{name.replace('.', '/')}"]
        linear.weight.copy_(part.weight[0])
        linear.bias.copy_(part.bias[0])
    assert torch.allclose(ours, reference(**inputs).logits, atol=1e-6)


def test_gate_rows_of_an_encoder_decoder_name_its_stacks() -> None:
    run = tiny_run(tiny_trial("unipelt_apl"), confirm=True, ablation=True)
    (result,) = train([run], backbone_of("t5"), tiny_task())
    assert isinstance(result, RunResult)
    assert {(row.stack, row.layer) for row in result.gates} == {
        ("encoder", 0), ("encoder", 1), ("decoder", 2), ("decoder", 3),
    }  # fmt: skip
    assert {row.layer for row in result.ablation} == {None, 0, 1, 2, 3}
    assert all(row.contribution is not None for row in result.gates if row.split == "select")


@torch.no_grad()
def test_a_layer_that_runs_several_times_shows_its_mean_gate() -> None:
    backbone, kept, passes = tiny_backbone("albert", num_hidden_layers=3), KeptGates(), []
    with Pack(backbone, [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        randomise(pack)
        gate = pack.parts["gate/0/prefix"]
        gate.register_forward_hook(lambda module, args, output: passes.append(output))
        pack(INPUTS, recorder=kept)
    assert len(passes) == 3
    assert not torch.allclose(passes[0], passes[2], atol=1e-4)
    assert torch.allclose(kept.values[0, "prefix"], torch.stack(passes).mean(0))
