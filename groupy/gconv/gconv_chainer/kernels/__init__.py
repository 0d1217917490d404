"""HexaConv's package of kernels."""
