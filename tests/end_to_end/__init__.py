"""Whole deployments: `deployment` (processes, topics), `log_facts` (what a log should lead to), then the tests."""
