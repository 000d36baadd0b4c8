"""How objects come in: over DIMSE to the intake, through the intake to the spool."""
