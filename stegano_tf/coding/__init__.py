"""Error-correcting codes that sound and pictures share."""
