DROP TABLE chain_base;
DROP TABLE retention;
DROP INDEX audit_events_whole_address;
DROP INDEX attempts_whole_address;
DROP INDEX sessions_whole_address;
ALTER TABLE audit_events DROP COLUMN person_proof, DROP COLUMN address_proof;
ALTER TABLE attempts DROP COLUMN person_proof, DROP COLUMN address_proof;
ALTER TABLE sessions DROP COLUMN person_proof, DROP COLUMN address_proof;
