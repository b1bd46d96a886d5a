ALTER TABLE nodes DROP COLUMN lease_ms;
