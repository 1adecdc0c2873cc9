"""Loading of models: embedded ones, local folders, Hub names, state-dict files."""

from dialoeval.models.fingerprint import ModelIdentity
from dialoeval.models.loading import (
    EMBEDDED,
    ENCODER_PACKAGE,
    LoadedModel,
    ModelDescription,
    check_model,
    choose_device,
    classifier_labels,
    describe_model,
    load_causal_lm,
    load_classifier,
    load_encoder,
    load_for_training,
    load_model,
    load_text_classifier,
    load_tokenizer,
    packaged_encoder,
    resolve,
)

__all__ = [
    "EMBEDDED",
    "ENCODER_PACKAGE",
    "LoadedModel",
    "ModelDescription",
    "ModelIdentity",
    "check_model",
    "choose_device",
    "classifier_labels",
    "describe_model",
    "load_causal_lm",
    "load_classifier",
    "load_encoder",
    "load_for_training",
    "load_model",
    "load_text_classifier",
    "load_tokenizer",
    "packaged_encoder",
    "resolve",
]
