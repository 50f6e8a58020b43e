"""Components of acme: a bijection, a conditioner and a weighting."""
