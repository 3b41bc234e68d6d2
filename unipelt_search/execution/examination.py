"""What matters of a model before a study spends time on it: the checks of every study, and their figures."""

from __future__ import annotations

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.checkpoint_files import find_weights, precision_of
from unipelt_search.backbones.declared_pooling import read_declared
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.backbones.load_backbone import load_backbone, resolve_model
from unipelt_search.backbones.tokenizer_check import embedding_rows, unknown_share
from unipelt_search.errors import BackboneError
from unipelt_search.execution.measured_sizes import stored_on, trained_by
from unipelt_search.execution.preparation import new_basis
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import find_method, trained_methods
from unipelt_search.pelt.applicability import check_trial, partial_reach
from unipelt_search.records.diagnosis import MethodFit, ModelFacts, TokenizerFacts
from unipelt_search.search.space import published
from unipelt_search.specs.pooling import JOIN
from unipelt_search.specs.study import BackboneSpec, SpaceSpec

SAMPLE: dict[str, str] = {
    "English": "The new phone arrived yesterday, and its battery lasts two whole days.",
    "German": "Das neue Telefon kam gestern an, und der Akku hält zwei ganze Tage.",
    "French": "Le nouveau téléphone est arrivé hier et sa batterie tient deux jours entiers.",
    "Spanish": "El teléfono nuevo llegó ayer y su batería dura dos días enteros.",
    "Turkish": "Yeni telefon dün geldi ve pili tam iki gün dayanıyor.",
    "Vietnamese": "Chiếc điện thoại mới đã đến hôm qua và pin dùng được trọn hai ngày.",
    "Russian": "Новый телефон приехал вчера, и его батареи хватает на два дня.",
    "Greek": "Το νέο τηλέφωνο ήρθε χθες και η μπαταρία του κρατάει δύο μέρες.",
    "Arabic": "وصل الهاتف الجديد أمس وتدوم بطاريته يومين كاملين.",
    "Hebrew": "הטלפון החדש הגיע אתמול והסוללה שלו מחזיקה יומיים שלמים.",
    "Hindi": "नया फ़ोन कल आया और उसकी बैटरी पूरे दो दिन चलती है।",
    "Thai": "โทรศัพท์เครื่องใหม่มาถึงเมื่อวาน และแบตเตอรี่ใช้ได้สองวันเต็ม",
    "Chinese": "新手机昨天到了，电池可以用整整两天。",
    "Japanese": "新しい電話が昨日届き、電池は丸二日もちます。",
    "Korean": "새 휴대폰이 어제 도착했고 배터리는 이틀 꼬박 갑니다.",
    "emoji": "😀 👍 🎉 ❤️ 😡 🔋 📱",
    "code": "for (int i = 0; i < n; i++) { total += values[i] * 0.5; }",
}
"""A sentence for each of a few languages and scripts."""
_CLASSES = 2
_ROWS = 1000
"""Training rows that published settings are chosen for; sizes do not depend on them."""


def examine_model(model: str, device: str) -> ModelFacts:
    """Load a model as a study would, and try every method on it.

    Args:
        model: A hub name, a folder, or `minilm`.
        device: `cpu` or `cuda`.

    Returns:
        What was found.

    Raises:
        BackboneError: No study can use it; says why.
    """
    spec = BackboneSpec(model=model)
    path = resolve_model(model)
    backbone = load_backbone(spec, _CLASSES, device)
    weights = find_weights(model, path)
    declared = read_declared(path)
    config = backbone.model.config.get_text_config()
    basis = new_basis(backbone)
    return ModelFacts(
        model=model,
        source=path,
        type=backbone.model.config.model_type,
        layers=len(layer_parts(backbone.base, backbone.family)),
        hidden_size=config.hidden_size,
        parameters=sum(parameter.numel() for parameter in backbone.model.parameters()),
        max_length=backbone.max_length,
        attention=_attention(backbone),
        weights="pytorch_model.bin" if weights.pickled else "safetensors",
        weight_bytes=weights.size,
        precision=precision_of(weights.read()),
        declared_pooling=declared.pooling or JOIN.join(declared.unknown) or None,
        pooling=backbone.pooling,
        unused_modules=declared.unused,
        tokenizer=_examine_tokenizer(backbone),
        notices=backbone.notices,
        methods=tuple(_examine_method(backbone, method, basis) for method in trained_methods()),
    )


def _attention(backbone: Backbone) -> str:
    if backbone.model.config.is_encoder_decoder:
        return "encoder-decoder"
    return "causal" if backbone.causal else "bidirectional"


def _examine_tokenizer(backbone: Backbone) -> TokenizerFacts:
    tokenizer = backbone.tokenizer
    shares = {}
    for language, sentence in SAMPLE.items():
        encoded = tokenizer(sentence, truncation=False, verbose=False)["input_ids"]
        shares[language] = unknown_share([encoded], tokenizer)
    return TokenizerFacts(
        kind=type(tokenizer).__name__,
        tokens=len(tokenizer),
        embeddings=embedding_rows(backbone.name, backbone.model),
        unknown=shares,
    )


def _examine_method(backbone: Backbone, method: str, basis: Basis) -> MethodFit:
    trial = published(method, SpaceSpec(), _ROWS, basis)[0]
    try:
        check_trial(backbone, trial)
    except BackboneError as error:
        return MethodFit(method=method, stored=None, layers=None, reason=str(error))
    reach = partial_reach(backbone, trial)
    count = trained_by if find_method(method).trains == "backbone" else stored_on
    return MethodFit(method=method, stored=count(backbone, trial), layers=reach[0] if reach else None)
