"""What the conformance statement says in words of the code's statuses, settings and kinds of result."""

from __future__ import annotations

from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from xrv_node.deliver.attempt import Outcome
from xrv_node.receive import association, statuses
from xrv_node.result_kinds import KINDS
from xrv_node.settings.archives import Archive
from xrv_node.settings.destinations import Destination
from xrv_node.settings.priors import Priors
from xrv_node.settings.receive import ReceiveSection
from xrv_node.settings.section import Section, kinds

ANSWERS = {
    statuses.SUCCESS: (
        "Success",
        "File and database row are on disk; or the same object was there already, or it is one of the "
        "node's own results that came back.",
    ),
    statuses.CLASS_NOT_SUPPORTED: (
        "Refused: SOP class not supported",
        "With `receive.other_storage` = `refuse`: objects of the class are never analysed.",
    ),
    statuses.OUT_OF_RESOURCES: (
        "Refused: out of resources",
        "The disk of the spool or the database is full, or below `receive.min_free_mb`.",
    ),
    statuses.DOES_NOT_MATCH: (
        "Error: dataset does not match SOP class",
        "SOP Class UID or SOP Instance UID of the object is not the one of the request.",
    ),
    statuses.CANNOT_UNDERSTAND: (
        "Error: cannot understand",
        "The header cannot be read; or the SOP class, SOP instance, study or series has no valid UID; or the "
        "object is larger than `receive.max_object_mb`.",
    ),
    statuses.PROCESSING_FAILURE: ("Processing failure", "A fault of the node."),
}
"""C-STORE statuses that the receiver answers."""

REFUSALS = {
    association.CALLED_AE_NOT_RECOGNIZED: "called AE title not recognized: it is not `receive.ae_title`",
    association.CALLING_AE_NOT_RECOGNIZED: "calling AE title not recognized: see `receive.allowed_calling_ae`",
    association.LOCAL_LIMIT_EXCEEDED: "local limit exceeded: too many associations at once, or no room on the disk",
}
"""Rejections of the receiver: result, source and reason (PS3.8 table 9-21)."""

PARAMETERS = (
    ("receive", "ae_title", "AE title, called and calling"),
    ("receive", "host", "address to listen on"),
    ("receive", "port", "port to listen on"),
    ("receive", "allowed_calling_ae", "AE titles that may send; empty: any"),
    ("receive", "allowed_addresses", "addresses and networks that may connect; empty: any"),
    ("receive", "processes", "processes that share the port"),
    ("receive", "max_associations", "associations at once, in each process"),
    ("receive", "max_associations_per_peer", "the same, from one address"),
    (
        "receive",
        "max_associations_per_minute",
        "associations a minute from one address, in each process; who is faster waits; 0: any number",
    ),
    ("receive", "max_objects_per_minute", "the same for objects"),
    ("receive", "max_object_mb", "size of an object, in MiB"),
    (
        "receive",
        "other_storage",
        "storage classes that are never analysed: `keep` or `refuse`",
    ),
    ("receive", "idle_seconds", "how long a sender may be silent"),
    ("destinations", "kind", "how results go there"),
    ("destinations", "ae_title", "its AE title"),
    ("destinations", "host", "its address"),
    ("destinations", "port", "its port"),
    ("destinations", "url", "its DICOMweb or FHIR service"),
    ("destinations", "send", "kinds of result that it gets"),
    ("destinations", "language", "language of what people read"),
    ("destinations", "seg_geometry", "plane of segmentations: `nominal` or `none`"),
    ("destinations", "seg_type", "`binary` or `labelmap`"),
    ("destinations", "deflate", "whether deflated transfer is offered"),
    ("destinations", "commitment", "whether storage commitment is asked for"),
    ("priors", "kind", "archive of earlier reports"),
    ("priors", "ae_title", "its AE title"),
    ("priors", "host", "its address"),
    ("priors", "port", "its port"),
    ("priors", "url", "its DICOMweb service"),
    ("priors", "timeout_seconds", "how long it is waited for"),
    ("archives", "name", "archive that studies are fetched from"),
    ("archives", "kind", "how it is asked"),
    ("archives", "ae_title", "its AE title"),
    ("archives", "host", "its address"),
    ("archives", "port", "its port"),
    ("archives", "move", "`get` for C-GET, `move` for C-MOVE"),
    ("archives", "url", "its DICOMweb service"),
    ("archives", "timeout_seconds", "how long an answer, or an object, may take"),
)
"""Settings that concern the network: table and key of ``node.toml``, meaning."""

SECTIONS: dict[str, dict[str, type[Section]]] = {
    "receive": {"": ReceiveSection},
    "destinations": kinds(Destination),
    "priors": kinds(Priors),
    "archives": kinds(Archive),
}
"""The section classes of each of these tables, by kind where it has kinds."""

YOUNG = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}
"""Names of SOP classes that are newer than pydicom's dictionary (PS3.4 table B.5-1)."""

NEXT = {
    Outcome.DELIVERED: "done",
    Outcome.WARNING: "done, the remark is recorded",
    Outcome.TRANSIENT: "tried again later",
    Outcome.REJECTED: "not sent again until a person asks for it",
}

PRIORS_CLASSES = (
    (str(StudyRootQueryRetrieveInformationModelFind), "SCU"),
    (str(StudyRootQueryRetrieveInformationModelGet), "SCU"),
    (KINDS["report"].sop_classes[0], "SCP, by role selection"),
)

FETCH_CLASSES = (
    (str(StudyRootQueryRetrieveInformationModelFind), "SCU"),
    (str(StudyRootQueryRetrieveInformationModelGet), "SCU"),
    (str(StudyRootQueryRetrieveInformationModelMove), "SCU"),
)
