"""Tables and pages from run folders."""
