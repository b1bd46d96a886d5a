-- What was sealed of users, clients and not-befores stays in the chain: it cannot be taken out.
DELETE FROM unsealed_records WHERE kind IN ('user', 'client', 'not_before');
ALTER TABLE not_befores DROP COLUMN salt, DROP COLUMN version, DROP COLUMN set_by_kind;
ALTER TABLE clients DROP COLUMN salt, DROP COLUMN version;
ALTER TABLE users DROP COLUMN salt, DROP COLUMN version;
ALTER TABLE unsealed_records DROP CONSTRAINT unsealed_records_kind_check;
ALTER TABLE unsealed_records ADD CONSTRAINT unsealed_records_kind_check
  CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended'));
ALTER TABLE unsealed_records DROP COLUMN form;
DROP INDEX sealed_records_subject;
CREATE INDEX sealed_records_subject ON sealed_records (subject, kind, position);
ALTER TABLE sealed_records DROP COLUMN form;
