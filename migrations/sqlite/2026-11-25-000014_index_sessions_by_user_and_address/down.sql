DROP INDEX sessions_user_address;
