"""Bytes and text in, unit vectors out: the only home of pretrained networks.

Read in this order: `base` (the protocol), `pictures` (untrusted bytes), `looks` (when two are the same), `device`,
`weights` (where pretrained weights are found), `networks` (made ready to run), `text`, `image`, `clip`, `sessions` (in
ONNX Runtime), `choose` (a setting's words -> an encoder).
"""
