-- The records that wait of what has many states are looked for by what they are about.
CREATE INDEX unsealed_records_states ON unsealed_records (kind, subject) WHERE kind IN ('user', 'client', 'not_before');
