DROP TABLE pending_erasures;
