"""Results as HL7 v2 messages: what they say, and how they travel."""
