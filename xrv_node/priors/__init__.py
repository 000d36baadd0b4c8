"""Earlier studies of the patient, with which the report compares the present one."""
