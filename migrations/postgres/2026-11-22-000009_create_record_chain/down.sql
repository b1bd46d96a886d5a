DROP TABLE checkpoints;
DROP TABLE chain_head;
DROP TABLE tree_hashes;
DROP TABLE sealed_records;
DROP TABLE unsealed_records;
