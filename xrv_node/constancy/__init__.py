"""Whether a node answers as it did: one phantom a day through its own port and worker.

Two answers are looked at: that of the networks for phantoms, which must be right, and that of the networks
for patients, which means nothing and must be the same as when somebody accepted it (IEC 61223 calls such a
test of a device a constancy test, and its first result the baseline)."""
