"""Figures and the TensorBoard dashboard."""
