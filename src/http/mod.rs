//! HTTP in, HTTP out. Knows actix; knows no SQL.
