DROP TABLE nodes;
CREATE TABLE nodes (
  id           UUID   NOT NULL PRIMARY KEY,
  lease_no     BIGINT NOT NULL,
  applied_seq  BIGINT NOT NULL,
  address      TEXT COLLATE "C"   NOT NULL,
  started_at   TIMESTAMPTZ NOT NULL
);
ALTER TABLE nodes ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 60000;
DROP TABLE link_keys;
ALTER TABLE chain_base RENAME COLUMN chain_hash TO link;
ALTER TABLE chain_head RENAME COLUMN chain_hash TO link;
ALTER TABLE sealed_records RENAME COLUMN chain_hash TO link;
