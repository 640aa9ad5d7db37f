"""One run as a page: what it scores, where it errs, and how sure that is."""
