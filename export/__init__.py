"""PyTorch networks, their training, and their way to ONNX: the only room that imports torch."""
