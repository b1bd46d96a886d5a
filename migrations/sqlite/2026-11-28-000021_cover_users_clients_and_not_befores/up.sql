-- Each record says which columns its digest covers: those that count since that form of its kind. What was sealed so far has
-- the first. Of what waits a form is demanded: a program that knows of none fails, rather than seal under a wrong one.
ALTER TABLE sealed_records ADD COLUMN form INTEGER NOT NULL DEFAULT 1 CHECK (form > 0);

-- Of each thing, and of each state of a thing with many, there is one record. Where this fails there are two: the history was
-- tampered with.
DROP INDEX sealed_records_subject;
CREATE UNIQUE INDEX sealed_records_subject ON sealed_records (kind, subject);

-- A conflict on that key is not resolved by REPLACE either (000016).
DROP TRIGGER sealed_records_not_replaced;
CREATE TRIGGER sealed_records_not_replaced BEFORE INSERT ON sealed_records
WHEN EXISTS (SELECT 1 FROM sealed_records WHERE position = NEW.position OR rowid = NEW.rowid)
  OR EXISTS (SELECT 1 FROM sealed_records WHERE kind = NEW.kind AND subject = NEW.subject)
BEGIN SELECT RAISE(ABORT, 'sealed records are never replaced'); END;

CREATE TABLE unsealed_records_with_form (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended', 'user', 'client',
                                            'not_before')),
  subject  TEXT    NOT NULL,
  at       BIGINT  NOT NULL,
  digest   BLOB    CHECK (length(digest) = 32),
  form     INTEGER NOT NULL CHECK (form > 0)
);
INSERT INTO unsealed_records_with_form (id, kind, subject, at, digest, form)
  SELECT id, kind, subject, at, digest, 1 FROM unsealed_records;
DROP TABLE unsealed_records;
ALTER TABLE unsealed_records_with_form RENAME TO unsealed_records;

-- What gives power: each change raises the version, and leaves a record of what is there then. The salt, another one each time,
-- goes with the row: what is left lets nobody guess who it was.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 0);
ALTER TABLE users ADD COLUMN salt BLOB CHECK (length(salt) = 16);
UPDATE users SET salt = randomblob(16);

CREATE TABLE clients_with_version (
  id                 TEXT   NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  name               TEXT   NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  scopes             TEXT   NOT NULL,
  secret_digest      BLOB   NOT NULL CHECK (length(secret_digest) = 32),
  created_at         BIGINT NOT NULL,
  secret_changed_at  BIGINT NOT NULL,
  version            BIGINT NOT NULL CHECK (version >= 0),
  salt               BLOB   NOT NULL CHECK (length(salt) = 16)
);
INSERT INTO clients_with_version
  SELECT id, name, scopes, secret_digest, created_at, secret_changed_at, 1, randomblob(16) FROM clients;
DROP TABLE clients;
ALTER TABLE clients_with_version RENAME TO clients;

-- Who set a not-before has a kind. So far administrators were told by their ids, which are UUIDs; parts of the server have
-- names.
CREATE TABLE not_befores_with_version (
  scope        TEXT   NOT NULL CHECK (scope IN ('user', 'client', 'everybody')),
  subject      TEXT   NOT NULL,
  at           BIGINT NOT NULL,
  set_at       BIGINT NOT NULL,
  set_by_kind  TEXT   NOT NULL,
  set_by       TEXT   NOT NULL,
  note         TEXT,
  version      BIGINT NOT NULL CHECK (version >= 0),
  salt         BLOB   NOT NULL CHECK (length(salt) = 16),
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
INSERT INTO not_befores_with_version
  SELECT scope, subject, at, set_at,
         CASE WHEN set_by LIKE '________-____-____-____-____________' AND length(replace(set_by, '-', '')) = 32
                AND replace(set_by, '-', '') NOT GLOB '*[^0-9a-fA-F]*' THEN 'admin' ELSE 'system' END,
         set_by, note, 1, randomblob(16) FROM not_befores;
DROP TABLE not_befores;
ALTER TABLE not_befores_with_version RENAME TO not_befores;

-- What is there is sealed as it is found, and from then on it is what was sealed.
INSERT INTO unsealed_records (kind, subject, at, form)
  SELECT 'user', id || '/1', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 1 FROM users ORDER BY id;
INSERT INTO unsealed_records (kind, subject, at, form)
  SELECT 'client', id || '/1', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 1 FROM clients ORDER BY id;
INSERT INTO unsealed_records (kind, subject, at, form)
  SELECT 'not_before', scope || ':' || subject || '/1', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 1
  FROM not_befores ORDER BY scope, subject;
