"""What each figure of a validation's page is, and where it is defined."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

TERMS: Mapping[str, str] = {
    "Score": (
        "The network's output, moved so that 0.5 is the operating point (torchxrayvision, op_norm). It is "
        "no probability."
    ),
    "Sigmoid": "The network's output before that, 0 to 1. Thresholds and calibration are of sigmoids.",
    "Operating point": (
        "The threshold from which a finding counts as present: the published one of the network, or the "
        "site's own."
    ),
    "AUC": (
        "Area under the ROC curve: how often an image with the finding scores higher than one without; 0.5 "
        "is chance (Hanley and McNeil 1982)."
    ),
    "DeLong": (
        "An interval of an AUC by formula (DeLong, DeLong and Clarke-Pearson 1988; Obuchowski 1997 for "
        "patients with several images)."
    ),
    "Bootstrap": "An interval from drawing patients anew, with replacement (Efron and Tibshirani 1993).",
    "Average precision": (
        "The mean precision over recall, without interpolation. Chance gives the prevalence."
    ),
    "Sensitivity, recall": "Share of the images with the finding that are called: TP / (TP + FN).",
    "Specificity": "Share of the images without the finding that are not called: TN / (TN + FP).",
    "PPV, precision": "Share of the calls that are right: TP / (TP + FP). It changes with the prevalence.",
    "NPV": (
        "Share of the images not called that are without the finding: TN / (TN + FN). It changes with the "
        "prevalence."
    ),
    "F1": "Harmonic mean of precision and sensitivity.",
    "Macro, micro, weighted": (
        "The mean of the findings; all pairs of image and finding in one heap; the mean weighted by the "
        "images with each finding."
    ),
    "Prevalence": "Share of the images with the finding, in this dataset.",
    "Brier score": "Mean squared difference of sigmoid and label; 0 is best (Brier 1950).",
    "Calibration error": (
        "Mean distance between the sigmoid and the share with the finding, over groups of images (Naeini et "
        "al. 2015)."
    ),
    "Slope, intercept": (
        "Of the logistic regression of the label on the sigmoid's logit; calibrated: 1 and 0 (Cox 1958)."
    ),
    "Youden": "The threshold with the highest sum of sensitivity and specificity (Youden 1950).",
    "Dice, IoU": (
        "Overlap of two regions: twice the common area by the sum of both; the common area by the union "
        "(Dice 1945; Jaccard 1912)."
    ),
    "Pointing game": (
        "Share of the images on which the heat map is highest inside the marked region (Zhang et al. 2018)."
    ),
    "95 % interval": "Of a hundred such intervals about 95 hold the true figure. Among many, some miss it.",
}
"""By name; the sources are those of the definitions."""


def html() -> str:
    """Return the terms as the last section of the page."""
    listed = "".join(f"<dt>{escape(term)}</dt><dd>{escape(words)}</dd>" for term, words in TERMS.items())
    return f'<h2 id="glossary">What the figures mean</h2><dl>{listed}</dl>'
