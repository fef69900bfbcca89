-- A sum of doubles that is the same in every run: they are added as decimals of eight places, which
-- is what the exchange sends, in whatever order threads meet them. Where a value is no such decimal
-- (NaN, 1e30), all of them are added as doubles.
CREATE MACRO exact_sum(x) AS
CASE
    WHEN count(x) = count(TRY_CAST(x AS DECIMAL(38, 8)))
        THEN CAST(sum(TRY_CAST(x AS DECIMAL(38, 8))) AS DOUBLE)
    ELSE sum(x)
END;
