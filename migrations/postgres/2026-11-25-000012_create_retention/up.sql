-- Members that can be removed before their row: addresses, and what names a person. While they are there, the proof is a
-- salt of 16 random bytes; once they are gone it is what was sealed in their place, 32 bytes a part. NULL: sealed in the
-- clear, before this.
ALTER TABLE sessions ADD COLUMN address_proof BYTEA CHECK (octet_length(address_proof) IN (16, 64)),
                     ADD COLUMN person_proof BYTEA CHECK (octet_length(person_proof) IN (16, 64));
ALTER TABLE attempts ADD COLUMN address_proof BYTEA CHECK (octet_length(address_proof) IN (16, 32)),
                     ADD COLUMN person_proof BYTEA CHECK (octet_length(person_proof) IN (16, 32));
ALTER TABLE audit_events ADD COLUMN address_proof BYTEA CHECK (octet_length(address_proof) IN (16, 32)),
                         ADD COLUMN person_proof BYTEA CHECK (octet_length(person_proof) IN (16, 32));

-- Rows whose address is still whole.
CREATE INDEX sessions_whole_address ON sessions (ended_at) WHERE ended_at IS NOT NULL AND length(address_proof) = 16;
CREATE INDEX attempts_whole_address ON attempts (at) WHERE length(address_proof) = 16;
CREATE INDEX audit_events_whole_address ON audit_events (at) WHERE ip IS NOT NULL AND length(address_proof) = 16;

-- One row: which process removes what is old, and what its open transaction removes. `before` is a time; of records it is
-- a position.
CREATE TABLE retention (
  id              INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  claimed_by      UUID,
  claimed_until   TIMESTAMPTZ,
  permit          TEXT COLLATE "C" CHECK (permit IN ('sessions', 'attempts', 'events', 'addresses', 'person', 'records')),
  before          TIMESTAMPTZ,
  records_before  BIGINT
);
INSERT INTO retention (id) VALUES (1);

-- One row: where the chain begins since its oldest records were removed.
CREATE TABLE chain_base (
  id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size   BIGINT  NOT NULL,
  link   BYTEA    NOT NULL CHECK (octet_length(link) = 32),
  peaks  BYTEA    NOT NULL CHECK (octet_length(peaks) % 32 = 0)
);
INSERT INTO chain_base VALUES (1, 0, decode(repeat('00', 32), 'hex'), ''::bytea);
