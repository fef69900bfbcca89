-- needs: funding_rates
-- Moments at which two funding rows tell the index differently by more than 1 bp: the one at the
-- hour, and the one an hour later, of its previous price.
-- price [USD]: Index by the row at that moment
-- source: Which row that is
-- other_price [USD]: Index by the other row
-- other_source: Which row that is
-- difference_bps [bps]: How much more the other says
CREATE VIEW index_conflicts AS
SELECT
    here."timestamp",
    here.instrument,
    here.index_price AS price,
    'funding' AS source,
    later.prev_index_price AS other_price,
    'funding_previous' AS other_source,
    (later.prev_index_price / here.index_price - 1) * 1e4 AS difference_bps
FROM funding_rates AS here
INNER JOIN funding_rates AS later
    ON later.instrument = here.instrument
    AND later."timestamp" = here."timestamp" + INTERVAL 1 HOUR
WHERE abs(later.prev_index_price / here.index_price - 1) > 1e-4
ORDER BY here.instrument, here."timestamp";
