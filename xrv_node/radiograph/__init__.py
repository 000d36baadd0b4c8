"""From a file to numbers: what the radiologist would see, and what the networks take."""
