"""What a build tells while it runs and afterwards: estimates, event streams, run records, reports."""
