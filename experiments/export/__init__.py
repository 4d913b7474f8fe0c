"""Exports of trained networks: ONNX, torch.export and safetensors."""
