"""Bytes and text in, unit vectors out: the only home of pretrained networks.

Read in this order: `base` (the protocol), `pictures` (untrusted bytes), `text`, `image`, `clip`,
`weights` (where pretrained weights are found), `choose` (a setting's name -> an encoder).
"""
