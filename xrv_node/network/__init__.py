"""DICOM over a connection, as bytes: what the receiver and the senders share."""
