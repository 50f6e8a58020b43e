"""Components of acme: a bijection, a conditioner and a weighting."""

ZOO_API = 1  # what of zoo it is written for: see zoo.API_VERSION
