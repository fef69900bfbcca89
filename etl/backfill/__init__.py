"""From a wish to published data: plan, fetch, stage, fold."""
