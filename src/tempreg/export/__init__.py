"""A trained network in the formats of other tools: NIR, ONNX, a torch.export program.

Modules and plain arguments come in, files go out; which run they are of is `run_export`'s.
"""
