DROP TABLE nodes;
CREATE TABLE nodes (
  id           TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  lease_no     BIGINT NOT NULL,
  applied_seq  BIGINT NOT NULL,
  address      TEXT   NOT NULL,
  started_at   BIGINT NOT NULL
);
ALTER TABLE nodes ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 60000;
DROP TABLE link_keys;
ALTER TABLE chain_base RENAME COLUMN chain_hash TO link;
ALTER TABLE chain_head RENAME COLUMN chain_hash TO link;
ALTER TABLE sealed_records RENAME COLUMN chain_hash TO link;
