"""What the passes on quantized models share: which numbers a QuantizeLinear or DequantizeLinear works with."""
