"""Clips to shards to episodes; photos of one person; drawn faces for tests."""
