"""The few-shot head (Zakharov et al. 2019)."""
