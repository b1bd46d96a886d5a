DROP TABLE master_key_uses;
DROP TABLE keyring;
