-- One row a sink: the position of the next sealed record that it is sent, the size of the last checkpoint it has (-1: none),
-- and the node that ships to it, until its claim runs out.
CREATE TABLE shipping_cursors (
  sink             TEXT NOT NULL PRIMARY KEY,
  position         BIGINT NOT NULL CHECK (position >= 0),
  checkpoint_size  BIGINT NOT NULL CHECK (checkpoint_size >= -1),
  claimed_by       TEXT,
  claimed_until    BIGINT
);
