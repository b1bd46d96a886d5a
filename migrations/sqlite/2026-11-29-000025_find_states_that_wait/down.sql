DROP INDEX unsealed_records_states;
