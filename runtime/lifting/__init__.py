"""What TensorRT's parser made of a model, as an ONNX model again: layer by layer, with its weights."""
