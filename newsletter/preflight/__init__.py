"""Preflight: everything that is wrong with an edition, before readers see it. One file a check, and a runner.

Pure: an edition goes in, findings come out. A blocker keeps an issue from being scheduled.
"""
