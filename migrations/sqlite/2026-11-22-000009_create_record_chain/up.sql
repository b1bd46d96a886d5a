-- What waits to be sealed: written in the transaction of the row it is about. What was there before this table has no
-- digest: it is sealed as it is found.
CREATE TABLE unsealed_records (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended')),
  subject  TEXT    NOT NULL,
  at       BIGINT  NOT NULL,
  digest   BLOB    CHECK (length(digest) = 32)
);
INSERT INTO unsealed_records (kind, subject, at) SELECT 'session_started', id, started_at FROM sessions ORDER BY started_at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'session_ended', id, ended_at FROM sessions WHERE ended_at IS NOT NULL ORDER BY ended_at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'attempt', id, at FROM attempts ORDER BY at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'event', CAST(seq AS TEXT), at FROM audit_events ORDER BY seq;

-- The chain: each record's link covers its digest and every record before it. Positions are dense, from 0.
CREATE TABLE sealed_records (
  position  BIGINT NOT NULL PRIMARY KEY CHECK (position >= 0),
  kind      TEXT   NOT NULL,
  subject   TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  digest    BLOB   NOT NULL CHECK (length(digest) = 32),
  link      BLOB   NOT NULL CHECK (length(link) = 32)
);
CREATE INDEX sealed_records_subject ON sealed_records (subject, kind, position);

-- Hashes of whole subtrees of the Merkle tree over the chain, by the number that RFC 6962 logs store them under. Only
-- those of 256 records and more: smaller ones are made from the records again.
CREATE TABLE tree_hashes (
  place  BIGINT NOT NULL PRIMARY KEY,
  hash   BLOB   NOT NULL CHECK (length(hash) = 32)
);

-- One row: how long the chain is, its last link, and the roots of the whole subtrees it is made of.
CREATE TABLE chain_head (
  id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size   BIGINT  NOT NULL,
  link   BLOB    NOT NULL CHECK (length(link) = 32),
  peaks  BLOB    NOT NULL CHECK (length(peaks) % 32 = 0)
);
INSERT INTO chain_head VALUES (1, 0, zeroblob(32), x'');

-- Signed statements of what the chain was (C2SP tlog-checkpoint).
CREATE TABLE checkpoints (
  size  BIGINT NOT NULL PRIMARY KEY CHECK (size >= 0),
  at    BIGINT NOT NULL,
  note  TEXT   NOT NULL
);

-- Whoever writes to this file by other means than Vigie must say so: these triggers would have to be dropped first.
CREATE TRIGGER audit_events_unchanged BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END;
CREATE TRIGGER attempts_unchanged BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempts_kept BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;
CREATE TRIGGER sessions_ended_once BEFORE UPDATE ON sessions WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
CREATE TRIGGER sessions_kept BEFORE DELETE ON sessions
BEGIN SELECT RAISE(ABORT, 'sessions are never deleted'); END;
CREATE TRIGGER sealed_records_unchanged BEFORE UPDATE ON sealed_records
BEGIN SELECT RAISE(ABORT, 'sealed records are never changed'); END;
CREATE TRIGGER sealed_records_kept BEFORE DELETE ON sealed_records
BEGIN SELECT RAISE(ABORT, 'sealed records are never deleted'); END;
CREATE TRIGGER checkpoints_unchanged BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END;
CREATE TRIGGER checkpoints_kept BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END;
