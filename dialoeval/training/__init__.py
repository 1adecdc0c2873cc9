"""Causal language modelling on dialogues, as DialoGPT was trained (section 3.1 of the paper)."""
