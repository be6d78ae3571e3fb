"""A matrix of builds for continuous integration: shares of equal length, and the jobs that make them."""
