"""What the conformance statement says in words of the code's statuses, settings and kinds of result."""

from __future__ import annotations

from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from xrv_node.deliver.attempt import Outcome
from xrv_node.receive import association, dimse, intake
from xrv_node.result_kinds import KINDS
from xrv_node.settings import PriorsSection, ReceiveSection
from xrv_node.settings.destinations import DestinationSection

ANSWERS = {
    dimse.SUCCESS: (
        "Success",
        "File and database row are on disk; or the same object was there already, or it is one of the "
        "node's own results that came back.",
    ),
    intake.CLASS_NOT_SUPPORTED: (
        "Refused: SOP class not supported",
        "With `receive.other_storage` = `refuse`: objects of the class are never analysed.",
    ),
    intake.OUT_OF_RESOURCES: (
        "Refused: out of resources",
        "The disk of the spool or the database is full, or below `receive.min_free_mb`.",
    ),
    intake.DOES_NOT_MATCH: (
        "Error: dataset does not match SOP class",
        "SOP Class UID or SOP Instance UID of the object is not the one of the request.",
    ),
    intake.CANNOT_UNDERSTAND: (
        "Error: cannot understand",
        "The header cannot be read; or the SOP class, SOP instance, study or series has no valid UID; or the "
        "object is larger than `receive.max_object_mb`.",
    ),
    dimse.PROCESSING_FAILURE: ("Processing failure", "A fault of the node."),
}
"""C-STORE statuses that the receiver answers."""

REFUSALS = {
    association.CALLED_AE_NOT_RECOGNIZED: "called AE title not recognized: it is not `receive.ae_title`",
    association.CALLING_AE_NOT_RECOGNIZED: "calling AE title not recognized: see `receive.allowed_calling_ae`",
    association.LOCAL_LIMIT_EXCEEDED: "local limit exceeded: too many associations at once, or no room on the disk",
}
"""Rejections of the receiver: result, source and reason (PS3.8 table 9-21)."""

PARAMETERS = (
    (ReceiveSection, "receive", "ae_title", "AE title, called and calling"),
    (ReceiveSection, "receive", "host", "address to listen on"),
    (ReceiveSection, "receive", "port", "port to listen on"),
    (ReceiveSection, "receive", "allowed_calling_ae", "AE titles that may send; empty: any"),
    (ReceiveSection, "receive", "allowed_addresses", "addresses and networks that may connect; empty: any"),
    (ReceiveSection, "receive", "processes", "processes that share the port"),
    (ReceiveSection, "receive", "max_associations", "associations at once, in each process"),
    (ReceiveSection, "receive", "max_associations_per_peer", "the same, from one address"),
    (
        ReceiveSection,
        "receive",
        "max_associations_per_minute",
        "associations a minute from one address, in each process; who is faster waits; 0: any number",
    ),
    (ReceiveSection, "receive", "max_objects_per_minute", "the same for objects"),
    (ReceiveSection, "receive", "max_object_mb", "size of an object, in MiB"),
    (
        ReceiveSection,
        "receive",
        "other_storage",
        "storage classes that are never analysed: `keep` or `refuse`",
    ),
    (ReceiveSection, "receive", "idle_seconds", "how long a sender may be silent"),
    (DestinationSection, "destinations", "ae_title", "AE title of a destination"),
    (DestinationSection, "destinations", "host", "its address"),
    (DestinationSection, "destinations", "port", "its port"),
    (DestinationSection, "destinations", "url", "its DICOMweb service, of a destination of kind `web`"),
    (DestinationSection, "destinations", "send", "kinds of result that it gets"),
    (DestinationSection, "destinations", "language", "language of what people read"),
    (DestinationSection, "destinations", "seg_geometry", "plane of segmentations: `nominal` or `none`"),
    (DestinationSection, "destinations", "seg_type", "`binary` or `labelmap`"),
    (DestinationSection, "destinations", "deflate", "whether deflated transfer is offered"),
    (DestinationSection, "destinations", "commitment", "whether storage commitment is asked for"),
    (PriorsSection, "priors", "kind", "archive of earlier reports: `none`, `dimse` or `web`"),
    (PriorsSection, "priors", "ae_title", "its AE title"),
    (PriorsSection, "priors", "host", "its address"),
    (PriorsSection, "priors", "port", "its port"),
    (PriorsSection, "priors", "url", "its DICOMweb service"),
    (PriorsSection, "priors", "timeout_seconds", "how long it is waited for"),
)
"""Settings that concern the network: section, table and key of ``node.toml``, meaning."""

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
