"""How good lists are, test-then-learn over a log: each event is predicted from what came before it, then learned.

Read in this order:

- `order`: the events of a log as they are to be replayed
- `world`: what has been seen so far, as rows; what every method is told
- `learner`: Freshet itself, the same core that the agents run
- `baselines`: what there was before
- `replay`: predict, then learn
- `figures`: ranks to hit rates, NDCG and their intervals
"""
