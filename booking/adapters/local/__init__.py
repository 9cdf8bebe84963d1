"""Clusters on this machine: notebook and Dask or Spark, held by a guardian process."""
