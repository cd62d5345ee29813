"""What everything else stands on: errors, addressed draws, threads, jobs."""
