DROP TABLE shipping_cursors;
