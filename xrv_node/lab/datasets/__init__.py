"""The public chest radiograph datasets, each as one typed table of labels.

``catalog`` says which there are, ``load`` reads one from the files of its owner, ``tools`` shapes the tables,
``torch_dataset`` opens their images with their ``masks``, ``to_dicom`` makes DICOM objects of them.
"""
