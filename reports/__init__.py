"""From records to decisions: the record of a run, latency, outage, verdict and report."""
