"""The pipeline from prior courses to a deliverable plan."""
