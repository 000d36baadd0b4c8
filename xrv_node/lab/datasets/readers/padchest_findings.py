"""The words of PadChest's column of labels: a list, as Python writes it, of findings in English."""

from __future__ import annotations

import ast
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.lab.datasets.columns import Column, spelling

_WORDS = """
abnormal foreign body; abscess; adenopathy; air bronchogram; air fluid level; air trapping; alveolar
pattern; aortic aneurysm; aortic atheromatosis; aortic button enlargement; aortic elongation; aortic
endoprosthesis; apical pleural thickening; artificial aortic heart valve; artificial heart valve; artificial
mitral heart valve; asbestosis signs; ascendent aortic elongation; atelectasis; atelectasis basal; atypical
pneumonia; axial hyperostosis; azygoesophageal recess shift; azygos lobe; blastic bone lesion; bone cement;
bone metastasis; breast mass; bronchiectasis; bronchovascular markings; bullas; calcified adenopathy;
calcified densities; calcified fibroadenoma; calcified granuloma; calcified mediastinal adenopathy;
calcified pleural plaques; calcified pleural thickening; callus rib fracture; cardiomegaly; catheter;
cavitation; central vascular redistribution; central venous catheter; central venous catheter via jugular
vein; central venous catheter via subclavian vein; central venous catheter via umbilical vein; cervical rib;
chest drain tube; Chilaiditi sign; chronic changes; clavicle fracture; consolidation; COPD signs;
costochondral junction hypertrophy; costophrenic angle blunting; cyst; dai; descendent aortic elongation;
dextrocardia; diaphragmatic eventration; double J stent; dual chamber device; electrical device; emphysema;
empyema; end on vessel; endoprosthesis; endotracheal tube; esophagic dilatation; exclude; external foreign
body; fibrotic band; fissure thickening; flattened diaphragm; fracture; gastrostomy tube; goiter; granuloma;
ground glass pattern; gynecomastia; heart insufficiency; heart valve calcified; hemidiaphragm elevation;
hiatal hernia; hilar congestion; hilar enlargement; humeral fracture; humeral prosthesis; hydropneumothorax;
hyperinflated lung; hypoexpansion; hypoexpansion basal; increased density; infiltrates; interstitial
pattern; kerley lines; kyphosis; laminar atelectasis; lepidic adenocarcinoma; lipomatosis; lobar
atelectasis; loculated fissural effusion; loculated pleural effusion; lung metastasis; lung vascular
paucity; lymphangitis carcinomatosa; lytic bone lesion; major fissure thickening; mammary prosthesis; mass;
mastectomy; mediastinal enlargement; mediastinal mass; mediastinal shift; mediastinic lipomatosis; metal;
miliary opacities; minor fissure thickening; multiple nodules; nephrostomy tube; nipple shadow; nodule; non
axial articular degenerative changes; normal; NSG tube; obesity; osteopenia; osteoporosis; osteosynthesis
material; pacemaker; pectum carinatum; pectum excavatum; pericardial effusion; pleural effusion; pleural
mass; pleural plaques; pleural thickening; pneumomediastinum; pneumonia; pneumoperitoneo; pneumothorax; post
radiotherapy changes; prosthesis; pseudonodule; pulmonary artery enlargement; pulmonary artery hypertension;
pulmonary edema; pulmonary fibrosis; pulmonary hypertension; pulmonary mass; pulmonary venous hypertension;
reservoir central venous catheter; respiratory distress; reticular interstitial pattern; reticulonodular
interstitial pattern; rib fracture; right sided aortic arch; round atelectasis; sclerotic bone lesion;
scoliosis; segmental atelectasis; single chamber device; soft tissue mass; sternoclavicular junction
hypertrophy; sternotomy; subacromial space narrowing; subcutaneous emphysema; suboptimal study; superior
mediastinal enlargement; supra aortic elongation; surgery; surgery breast; surgery heart; surgery humeral;
surgery lung; surgery neck; suture material; thoracic cage deformation; total atelectasis; tracheal shift;
tracheostomy tube; tuberculosis; tuberculosis sequelae; unchanged; vascular hilar enlargement; vascular
redistribution; ventriculoperitoneal drain tube; vertebral anterior compression; vertebral compression;
vertebral degenerative changes; vertebral fracture; volume loss
"""
FINDINGS = tuple(" ".join(word.split()) for word in _WORDS.split(";"))
"""All that its table has (Bustos et al. 2020): findings, differential diagnoses, and ``normal``,
``unchanged``, ``exclude``."""

_KNOWN = {spelling(word): word for word in FINDINGS}


@dataclass(frozen=True, slots=True)
class Findings(Column):
    """The column. An empty word, which the owner has too, says nothing."""

    def allowed(self) -> str:
        """See `Column`."""
        return f"a list like ['normal'] of the {len(FINDINGS)} findings"

    def read(self, cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
        """See `Column`."""
        found = {cell: text for cell in cells if (text := _listed(str(cell)))}
        values = cells.map(found)
        return values, values.isna().to_numpy(dtype=bool)


def _listed(cell: str) -> str:
    """The list as text with the words in the owner's spelling; empty if it is none."""
    try:
        words = ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        return ""
    known = [_KNOWN.get(spelling(word), "") if word.strip() else word for word in words]
    if any(word.strip() and not ours for word, ours in zip(words, known, strict=True)):
        return ""
    same = all(word.strip() == ours.strip() for word, ours in zip(words, known, strict=True))
    return cell if same else str(known)
