-- Each record's chain hash covers the record and every one before. From here on it is made with a key that is not in the
-- database. The columns get another name, so that a binary that does not know the key fails instead of going on without.
ALTER TABLE sealed_records RENAME COLUMN link TO chain_hash;
ALTER TABLE chain_head RENAME COLUMN link TO chain_hash;
ALTER TABLE chain_base RENAME COLUMN link TO chain_hash;

-- From which record on chain hashes are made with which key: before the first row, with none. The MAC, by that key, shows
-- that the server itself said so.
CREATE TABLE link_keys (
  number          INTEGER NOT NULL PRIMARY KEY CHECK (number >= 1),
  first_position  BIGINT  NOT NULL CHECK (first_position >= 0),
  mac             BYTEA   NOT NULL CHECK (octet_length(mac) = 32)
);

-- A node says which version it is; one that does not know this column cannot join. None runs while this is applied.
DROP TABLE nodes;
CREATE TABLE nodes (
  id           UUID   NOT NULL PRIMARY KEY,
  lease_no     BIGINT NOT NULL,
  applied_seq  BIGINT NOT NULL,
  address      TEXT COLLATE "C"   NOT NULL,
  started_at   TIMESTAMPTZ NOT NULL,
  lease_ms     BIGINT NOT NULL,
  version      TEXT COLLATE "C"   NOT NULL
);
