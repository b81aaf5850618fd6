"""Breathing from phase: its wave, where the body follows it, and frames with more of it."""
