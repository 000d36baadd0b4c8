"""Fine-tuning: a classifier that was trained elsewhere, trained on with the tables of public datasets."""
