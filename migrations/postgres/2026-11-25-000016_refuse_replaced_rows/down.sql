-- Nothing, as on the way up.
SELECT 1;
