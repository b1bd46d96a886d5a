ALTER TABLE audit_events DROP COLUMN reason;
ALTER TABLE audit_events DROP COLUMN outcome;
