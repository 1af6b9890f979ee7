"""Do-interventions, intervention targets and mixtures of them."""
