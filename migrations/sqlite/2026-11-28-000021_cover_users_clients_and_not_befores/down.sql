-- What was sealed of users, clients and not-befores stays in the chain: it cannot be taken out.
CREATE TABLE not_befores_without_version (
  scope    TEXT   NOT NULL CHECK (scope IN ('user', 'client', 'everybody')),
  subject  TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  set_at   BIGINT NOT NULL,
  set_by   TEXT   NOT NULL,
  note     TEXT,
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
INSERT INTO not_befores_without_version SELECT scope, subject, at, set_at, set_by, note FROM not_befores;
DROP TABLE not_befores;
ALTER TABLE not_befores_without_version RENAME TO not_befores;

ALTER TABLE clients DROP COLUMN salt;
ALTER TABLE clients DROP COLUMN version;
ALTER TABLE users DROP COLUMN salt;
ALTER TABLE users DROP COLUMN version;

CREATE TABLE unsealed_records_without_form (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended')),
  subject  TEXT    NOT NULL,
  at       BIGINT  NOT NULL,
  digest   BLOB    CHECK (length(digest) = 32)
);
INSERT INTO unsealed_records_without_form (id, kind, subject, at, digest)
  SELECT id, kind, subject, at, digest FROM unsealed_records WHERE kind NOT IN ('user', 'client', 'not_before');
DROP TABLE unsealed_records;
ALTER TABLE unsealed_records_without_form RENAME TO unsealed_records;

DROP TRIGGER sealed_records_not_replaced;
CREATE TRIGGER sealed_records_not_replaced BEFORE INSERT ON sealed_records
WHEN EXISTS (SELECT 1 FROM sealed_records WHERE position = NEW.position OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'sealed records are never replaced'); END;
DROP INDEX sealed_records_subject;
CREATE INDEX sealed_records_subject ON sealed_records (subject, kind, position);
ALTER TABLE sealed_records DROP COLUMN form;
