"""OpenStack: what Blazar sets aside, and what hosts Blazar, Nova or Placement know of."""
