"""Loading of models: embedded ones, local folders, Hub names, state-dict files."""

from dialoeval.models.fingerprint import ModelIdentity
from dialoeval.models.loading import (
    EMBEDDED,
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
    resolve,
)

__all__ = [
    "EMBEDDED",
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
    "resolve",
]
