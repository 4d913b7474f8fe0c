"""Exports of trained networks: ONNX, torch.export, safetensors and web pages."""
