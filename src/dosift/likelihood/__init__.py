"""Where mechanisms meet rows: likelihood ratios of targets, weights, and sums over rows."""
