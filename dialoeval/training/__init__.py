"""Causal language modelling on dialogues, as in DialoGPT (section 3.1 of the paper)."""
