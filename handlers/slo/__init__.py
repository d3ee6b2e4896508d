"""SLOs: what captain.yml promises, how fast its error budget burns, and whom that wakes."""
