-- What waits to be sealed: written in the transaction of the row it is about. What was there before this table has no
-- digest: it is sealed as it is found.
CREATE TABLE unsealed_records (
  id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind     TEXT COLLATE "C"    NOT NULL CHECK (kind IN ('event', 'attempt', 'session_started', 'session_ended')),
  subject  TEXT COLLATE "C"    NOT NULL,
  at       TIMESTAMPTZ  NOT NULL,
  digest   BYTEA    CHECK (octet_length(digest) = 32)
);
INSERT INTO unsealed_records (kind, subject, at) SELECT 'session_started', id, started_at FROM sessions ORDER BY started_at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'session_ended', id, ended_at FROM sessions WHERE ended_at IS NOT NULL ORDER BY ended_at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'attempt', id, at FROM attempts ORDER BY at, id;
INSERT INTO unsealed_records (kind, subject, at) SELECT 'event', seq, at FROM audit_events ORDER BY seq;

-- The chain: each record's link covers its digest and every record before it. Positions are dense, from 0.
CREATE TABLE sealed_records (
  position  BIGINT NOT NULL PRIMARY KEY CHECK (position >= 0),
  kind      TEXT COLLATE "C"   NOT NULL,
  subject   TEXT COLLATE "C"   NOT NULL,
  at        TIMESTAMPTZ NOT NULL,
  digest    BYTEA   NOT NULL CHECK (octet_length(digest) = 32),
  link      BYTEA   NOT NULL CHECK (octet_length(link) = 32)
);
CREATE INDEX sealed_records_subject ON sealed_records (subject, kind, position);

-- Hashes of whole subtrees of the Merkle tree over the chain, by the number that RFC 6962 logs store them under. Only
-- those of 256 records and more: smaller ones are made from the records again.
CREATE TABLE tree_hashes (
  place  BIGINT NOT NULL PRIMARY KEY,
  hash   BYTEA   NOT NULL CHECK (octet_length(hash) = 32)
);

-- One row: how long the chain is, its last link, and the roots of the whole subtrees it is made of.
CREATE TABLE chain_head (
  id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size   BIGINT  NOT NULL,
  link   BYTEA    NOT NULL CHECK (octet_length(link) = 32),
  peaks  BYTEA    NOT NULL CHECK (octet_length(peaks) % 32 = 0)
);
INSERT INTO chain_head VALUES (1, 0, decode(repeat('00', 32), 'hex'), ''::bytea);

-- Signed statements of what the chain was (C2SP tlog-checkpoint).
CREATE TABLE checkpoints (
  size  BIGINT NOT NULL PRIMARY KEY CHECK (size >= 0),
  at    TIMESTAMPTZ NOT NULL,
  note  TEXT COLLATE "C"   NOT NULL
);
