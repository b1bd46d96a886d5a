-- Each record says which columns its digest covers: those that count since that form of its kind. What was sealed so far has
-- the first. Of what waits a form is demanded: a program that knows of none fails, rather than seal under a wrong one.
ALTER TABLE sealed_records ADD COLUMN form INTEGER NOT NULL DEFAULT 1 CHECK (form > 0);

-- Of each thing, and of each state of a thing with many, there is one record. Where this fails there are two: the history was
-- tampered with.
DROP INDEX sealed_records_subject;
CREATE UNIQUE INDEX sealed_records_subject ON sealed_records (kind, subject);

ALTER TABLE unsealed_records ADD COLUMN form INTEGER NOT NULL DEFAULT 1 CHECK (form > 0);
ALTER TABLE unsealed_records ALTER COLUMN form DROP DEFAULT;
ALTER TABLE unsealed_records DROP CONSTRAINT unsealed_records_kind_check;
ALTER TABLE unsealed_records ADD CONSTRAINT unsealed_records_kind_check
  CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended', 'user', 'client', 'not_before'));

-- What gives power: each change raises the version, and leaves a record of what is there then. The salt, another one each time,
-- goes with the row: what is left lets nobody guess who it was.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 0),
                  ADD COLUMN salt BYTEA CHECK (octet_length(salt) = 16);
UPDATE users SET salt = uuid_send(gen_random_uuid());

ALTER TABLE clients ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 0),
                    ADD COLUMN salt BYTEA CHECK (octet_length(salt) = 16);
UPDATE clients SET salt = uuid_send(gen_random_uuid());
ALTER TABLE clients ALTER COLUMN salt SET NOT NULL, ALTER COLUMN version DROP DEFAULT;

-- Who set a not-before has a kind. So far administrators were told by their ids, which are UUIDs; parts of the server have
-- names.
ALTER TABLE not_befores ADD COLUMN set_by_kind TEXT COLLATE "C",
                        ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 0),
                        ADD COLUMN salt BYTEA CHECK (octet_length(salt) = 16);
UPDATE not_befores SET salt = uuid_send(gen_random_uuid()), set_by_kind =
  CASE WHEN set_by ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN 'admin' ELSE 'system' END;
ALTER TABLE not_befores ALTER COLUMN salt SET NOT NULL, ALTER COLUMN set_by_kind SET NOT NULL,
                        ALTER COLUMN version DROP DEFAULT;

-- What is there is sealed as it is found, and from then on it is what was sealed.
INSERT INTO unsealed_records (kind, subject, at, form) SELECT 'user', id || '/1', now(), 1 FROM users ORDER BY id;
INSERT INTO unsealed_records (kind, subject, at, form) SELECT 'client', id || '/1', now(), 1 FROM clients ORDER BY id;
INSERT INTO unsealed_records (kind, subject, at, form)
  SELECT 'not_before', scope || ':' || subject || '/1', now(), 1 FROM not_befores ORDER BY scope, subject;
