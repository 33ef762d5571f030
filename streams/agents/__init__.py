"""The Faust agents, from a message to what it leads to.

- both: `batches` (events drained unacked, acked last)
- clicks: `recommend_app`, `recommend`, `partition` (state, recovery), `publish` and `relist` (what no click asks for)
- products: `embed_app`, `embed`, `intake` (what a batch leads to), `embed_state`, `content`, `vectors`
"""
