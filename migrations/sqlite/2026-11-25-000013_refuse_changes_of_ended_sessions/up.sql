-- Nothing: SQLite has had the trigger since 000009.
SELECT 1;
