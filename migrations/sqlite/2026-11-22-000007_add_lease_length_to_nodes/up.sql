-- How long the node's leases are, in milliseconds: others wait for them. A node that does not say may have the longest.
ALTER TABLE nodes ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 60000;
